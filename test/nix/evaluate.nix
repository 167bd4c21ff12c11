# For each configuration of a file (an attribute set of modules, or a function from pkgs to one) what the module makes of it, as plain data.
{
  configurations,
  only ? null,
  nixpkgsLib ? ./stub,
}:
let
  lib = import nixpkgsLib;
  host = import ./host.nix lib;
  inherit (host) pkgs;
  given = import configurations;
  modules = if builtins.isFunction given then given { inherit lib pkgs; } else given;
  wanted = if only == null then modules else { ${only} = modules.${only}; };

  plain = value: if lib.isDerivation value then value.name else value;

  evaluated =
    module:
    (lib.evalModules {
      specialArgs = { inherit pkgs; };
      modules = [
        ../../module.nix
        host.module
        module
      ];
    }).config;

  shown =
    module:
    let
      config = evaluated module;
      service = config.systemd.services.forgejo-runner-controller or null;
      file = config.environment.etc."forgejo-runner-controller/config.yaml" or null;
      failed = map (fault: fault.message) (lib.filter (fault: !fault.assertion) config.assertions);
    in
    {
      inherit failed;
      # Also of what is refused: whoever forces it must not find a secret copied.
      credentials = if service == null then [ ] else service.serviceConfig.LoadCredential;
      inherit (config) warnings;
    }
    // lib.optionalAttrs (failed == [ ] && service != null) {
      settings = if file == null then null else file.source.value or null;
      check = if file == null then null else file.source.script or null;
      fileMode = if file == null then null else file.mode;
      unit = removeAttrs service [ "path" "reloadTriggers" ] // {
        path = map plain service.path;
        reloads = map (file: file.value or file.name) service.reloadTriggers;
      };
      slice = config.systemd.slices.machine-forgejorunners;
      tmpfiles = config.systemd.tmpfiles.settings;
      networks = config.systemd.network.networks;
      inherit (config.boot) enableContainers;
      inherit (config.boot.kernel) sysctl;
      inherit (config.networking.firewall) interfaces allowedTCPPorts extraForwardRules;
      unmanaged = config.networking.networkmanager.unmanaged ++ config.networking.dhcpcd.denyInterfaces;
      programs = map plain config.environment.systemPackages;
    }
    // lib.optionalAttrs (service == null) {
      # All that the module would have left on a host: it must be nothing.
      left = {
        inherit (config.systemd) services slices;
        inherit (config.environment) etc;
        tmpfiles = config.systemd.tmpfiles.settings;
        networks = config.systemd.network.networks;
        inherit (config.boot.kernel) sysctl;
        inherit (config.networking.firewall) interfaces allowedTCPPorts;
        unmanaged = config.networking.networkmanager.unmanaged ++ config.networking.dhcpcd.denyInterfaces;
        programs = map plain config.environment.systemPackages;
      };
    };
in
lib.mapAttrs (_: shown) wanted
