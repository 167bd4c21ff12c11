# Evaluates modules as NixOS does. A host has the few options that the module's own tests know (host.nix) and those of a virtual machine; the
# system inside a machine takes anything, so there only what our expressions say is tried, not whether NixOS has such options.
{ system, modules }:
let
  lib = import ../../lib.nix;
  inherit (lib) mkOption types;
  host = import ../../host.nix lib;
  flag = mkOption {
    type = types.bool;
    default = false;
  };
  anything = mkOption {
    type = types.attrsOf types.anything;
    default = { };
  };
  number = mkOption { type = types.ints.positive; };

  # { nixpkgs.pkgs = ...; } is where packages come from, and no option here.
  isPackages = one: builtins.isAttrs one && one ? nixpkgs;
  inherit ((builtins.head (lib.filter isPackages modules)).nixpkgs) pkgs;
  isGuest = lib.any (one: builtins.isPath one && baseNameOf one == "guest.nix") modules;

  hostOptions =
    { config, ... }:
    {
      options = {
        boot.isContainer = flag;
        virtualisation = {
          cores = number;
          memorySize = number;
          diskSize = number;
        };
        networking.primaryIPAddress = mkOption { type = types.str; };
        services.forgejo.settings.service = anything;
        services.forgejo.settings.actions = anything;
        services.forgejo.settings."cron.stop_zombie_tasks" = anything;
        systemd.units = anything;
      };
      config.systemd.units."forgejo-runner-controller.service".text =
        builtins.toJSON
          config.systemd.services.forgejo-runner-controller.serviceConfig;
    };

  guestOptions =
    { config, ... }:
    {
      options = {
        boot.isContainer = flag;
        boot.isNspawnContainer = flag;
      }
      // lib.genAttrs [
        "documentation"
        "environment"
        "networking"
        "nix"
        "programs"
        "services"
        "system"
        "systemd"
      ] (_: anything);
      config = {
        nix.enable = true;
        nix.package = "${pkgs.nix}";
        system.nixos.release = "26.05";
        system.path = "${pkgs.bash}";
        system.build.toplevel = pkgs.runCommand "nixos-system" {
          units = builtins.toJSON config.systemd;
          settings = builtins.toJSON { inherit (config) boot networking nix; };
          packages = config.environment.systemPackages;
          own = config.services.postgresql.enable or false;
        } "";
      };
    };
in
assert system == null;
lib.evalModules {
  specialArgs = { inherit pkgs; };
  modules = (if isGuest then [ guestOptions ] else [ host.module hostOptions ]) ++ lib.filter (one: !isPackages one) modules;
}
