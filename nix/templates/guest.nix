# The system inside a machine. The driver gives it a network that is ready, /etc/resolv.conf and the unit that runs the job; so it does nothing
# of that itself, and nothing that a system of a few minutes has no use for.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkDefault;
  # Not of the system itself, which this is a part of, but of all that a job calls by name.
  known = pkgs.closureInfo { rootPaths = [ config.system.path ]; };
in
{
  boot.isContainer = true;
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

  # The host's store lies under /nix/store and cannot be written to: where the machine may mount, an own one is laid over it, with a daemon of
  # its own. Nothing of it outlives the machine, and nothing of it reaches the host. The driver nspawn takes that right from machines: there
  # jobs build by the host's daemon (nix.access), or not at all.
  nix.settings = {
    experimental-features = mkDefault [
      "nix-command"
      "flakes"
    ];
    # A sandbox needs a /proc that a container does not have.
    sandbox = mkDefault false;
  };
  systemd.services.own-nix-store = lib.mkIf config.nix.enable {
    description = "A Nix store of this machine's own, over that of its host";
    # Where the driver has put the host's daemon in its place, that one is used.
    unitConfig = {
      ConditionPathExists = "!/nix/var/nix/daemon-socket/socket";
      ConditionCapability = "CAP_SYS_ADMIN";
    };
    before = [
      "nix-daemon.socket"
      "nix-daemon.service"
      "multi-user.target"
    ];
    wantedBy = [ "multi-user.target" ];
    requiredBy = [ "nix-daemon.service" ];
    path = [
      config.nix.package
      pkgs.util-linux
    ];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
    };
    script = ''
      mkdir -p /nix/.own/upper /nix/.own/work
      mount -t overlay overlay -o lowerdir=/nix/store,upperdir=/nix/.own/upper,workdir=/nix/.own/work /nix/store
      NIX_REMOTE= nix-store --load-db <${known}/registration
    '';
  };
}
