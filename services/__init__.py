"""One package per deployable service, plus the chassis they stand on."""
