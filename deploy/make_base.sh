#!/usr/bin/env bash
# Make localhost/base (Python, nothing to build with) and localhost/builder (the same with pip) from Debian packages, for
# machines that reach no image registry. Needs root, debootstrap and podman. Then:
#   make images BASE=localhost/base BUILDER=localhost/builder
set -euo pipefail

suite=${SUITE:-bookworm} # its python3 is 3.11
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

image() { # name, packages
  debootstrap --variant=minbase --include="$2" "$suite" "$work/$1" ${MIRROR:+"$MIRROR"} >"$work/$1.log" ||
    { tail -5 "$work/$1.log" >&2; exit 1; }
  rm -rf "$work/$1"/var/cache/apt/* "$work/$1"/var/lib/apt/lists/* "$work/$1"/usr/share/{doc,man,locale}/* \
    "$work/$1"/var/log/*.log "$work/$1"/etc/resolv.conf "$work/$1"/etc/hostname
  tar -C "$work/$1" -c . | podman import --quiet - "localhost/$1" >/dev/null
  echo "localhost/$1: $(podman image inspect --format '{{.Size}}' "localhost/$1" | awk '{printf "%.0f MB", $1 / 1e6}')"
  rm -rf "${work:?}/$1"
}

image base python3-minimal,libpython3-stdlib,ca-certificates
image builder python3-minimal,libpython3-stdlib,ca-certificates,python3-venv,python3-pip
