# The system inside a machine. The driver gives it a network that is ready, /etc/resolv.conf and the unit that runs the job; so it does nothing
# of that itself, and nothing that a system of a few minutes has no use for.
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (lib) mkDefault;
in
{
  # Newer releases have both, and only the second leaves /proc, /run and /dev as nspawn mounted them.
  boot = {
    isContainer = true;
  }
  // lib.optionalAttrs (options.boot ? isNspawnContainer) { isNspawnContainer = true; };
  system.stateVersion = mkDefault config.system.nixos.release;

  # Empty: the name that the machine is started with stays.
  networking.hostName = "";
  networking.useDHCP = false;
  networking.useHostResolvConf = false;
  networking.resolvconf.enable = false;
  networking.firewall.enable = mkDefault false;

  documentation.enable = mkDefault false;
  services.logrotate.enable = mkDefault false;
  services.journald.extraConfig = mkDefault "Storage=volatile";

  # Programs that were not built by Nix, as most actions bring them.
  programs.nix-ld.enable = mkDefault true;

  # With nix.access own the machine's /nix/store can be written to, and a database in it knows this system: its daemon builds there, and root
  # beside it. With none the store is read-only, and with daemon that of the host answers in the place of this one.
  nix.settings = {
    experimental-features = mkDefault [
      "nix-command"
      "flakes"
    ];
    # One needs mounts, which no machine may make.
    sandbox = mkDefault false;
  };
}
