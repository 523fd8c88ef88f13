"""Programs nobody here wrote that tests run against: which there are, how one gets them."""
