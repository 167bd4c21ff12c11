# Every package of this project, out of a given nixpkgs: the one list that flake, overlay and default.nix have in common.
{ pkgs }:
let
  forgejo-runner-controller = pkgs.callPackage ./package.nix { };
in
{
  inherit forgejo-runner-controller;
  runner-status = pkgs.callPackage ./runner-status.nix { inherit forgejo-runner-controller; };
  container-template = import ./templates/env.nix { inherit pkgs; };
  container-template-nixos = import ./templates/system.nix { inherit pkgs; };
}
