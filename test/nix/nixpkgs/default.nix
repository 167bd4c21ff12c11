# What `import nixpkgs { system = ...; }` gives.
{
  system,
  programs ? { },
}:
import ./packages.nix {
  lib = import ./lib.nix;
  inherit system programs;
  path = ./.;
}
