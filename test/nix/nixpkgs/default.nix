# What `import nixpkgs { system = ...; }` gives.
{ system }:
import ./packages.nix {
  lib = import ./lib.nix;
  inherit system;
  path = ./.;
}
