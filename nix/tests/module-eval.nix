# The module in a whole NixOS: no assertion fails, and this is the unit that comes of it.
{ pkgs, module }:
let
  inherit (pkgs) lib;
  inherit
    (import (pkgs.path + "/nixos/lib/eval-config.nix") {
      system = null;
      modules = [
        { nixpkgs.pkgs = pkgs; }
        module
        ./host.nix
      ];
    })
    config
    ;
  failed = lib.filter (one: !one.assertion) config.assertions;
in
if failed != [ ] then
  throw (lib.concatMapStringsSep "\n" (one: one.message) failed)
else
  pkgs.writeText "forgejo-runner-controller.service" config.systemd.units."forgejo-runner-controller.service".text
