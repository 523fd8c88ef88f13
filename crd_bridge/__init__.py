"""The CRD bridge: custom resources to flow runs and back."""
