# The template nixos: a whole NixOS system for jobs that need one, booted by its own systemd in each machine. It is built once, when the host's
# system is, and never when a machine starts. Evaluated (test/nix), never built.
{
  pkgs,
  runner ? pkgs.forgejo-runner,
  extraPackages ? [ ],
  modules ? [ ],
}:
let
  checked = import ./runner.nix {
    inherit (pkgs) lib;
    inherit runner;
  };
  system = import (pkgs.path + "/nixos/lib/eval-config.nix") {
    # Said by nixpkgs.pkgs; without this it would be asked of the machine that evaluates.
    system = null;
    modules = [
      { nixpkgs.pkgs = pkgs; }
      ./guest.nix
      { environment.systemPackages = extraPackages ++ [ checked ] ++ import ./tools.nix pkgs; }
    ] ++ modules;
  };
in
system.config.system.build.toplevel
// {
  inherit (system) config;
  runner = checked;
}
