# For whoever uses no flakes: the packages and the module. Without arguments it takes the nixpkgs that the flake is locked to; give it your own
# with `--arg pkgs 'import <nixpkgs> { }'`. On NixOS import module.nix of this folder; docs/NIXOS.md has the lines.
{
  pkgs ? import (import ./nix/pinned.nix) { },
}:
import ./nix/packages.nix { inherit pkgs; }
// {
  module = ./module.nix;
  shell = import ./nix/shell.nix { inherit pkgs; };
}
