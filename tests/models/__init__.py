"""Small worlds in which every order of events is tried."""
