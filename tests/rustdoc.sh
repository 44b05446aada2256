#!/bin/bash
# rustdoc as `cargo test --doc` calls it, and once more for the pages, with every warning an error: both from the
# dependencies that the tests were built with. `cargo doc` would compile all of them again.
set -euo pipefail
rustdoc "$@"
pages=() skip=
for argument; do
    case $argument in
    --test) tests=yes ;;
    --test-run-directory | --test-args | --test-runtool) skip=yes ;;
    --test-*) ;;
    *) [ -n "$skip" ] || pages+=("$argument"); skip= ;;
    esac
done
[ -z "${tests:-}" ] || rustdoc "${pages[@]}" --document-private-items -D warnings -o target/doc
