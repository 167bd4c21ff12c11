# shellcheck shell=bash
# Builds a derivation as nixpkgs' stdenv does, as far as ours need it: the source, the phases in their order, and wrappers.
set -euo pipefail
export PATH=/usr/bin:/bin HOME=/homeless
for input in ${nativeBuildInputs:-}; do PATH=$input/bin:$PATH; done

runHook() { :; }
# PROGRAM WRAPPER --add-flags FLAGS
makeWrapper() {
  mkdir -p "$(dirname "$2")"
  printf '#!/bin/bash\nexec %s %s "$@"\n' "$1" "$4" >"$2"
  chmod 755 "$2"
}

if [[ -n ${buildCommand:-} ]]; then eval "$buildCommand"; exit; fi
[[ -n ${src:-} ]] || { mkdir -p "${out:?}"; exit; }
cp -r "$src" source
chmod -R u+w source
cd source
eval "${buildPhase:-}"
eval "${installPhase:-}"
eval "${installCheckPhase:-}"
