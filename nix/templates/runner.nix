# The forgejo-runner of a template, refused when it is too old to run exactly one job by its handle. nixpkgs pins its source by hash, and
# flake.lock pins nixpkgs: so the runner is pinned by hash.
{ lib, runner }:
let
  oldest = "12.8.2";
  version = lib.getVersion runner;
in
assert lib.assertMsg (lib.versionAtLeast version oldest)
  "forgejo-runner ${version} cannot run exactly one job: it must be ${oldest} or newer. Take the package of a newer nixpkgs.";
runner
