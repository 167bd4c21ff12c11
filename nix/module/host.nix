# What the host must do beside the unit: forward packets, keep other network managers off the interfaces of machines, let machines through its
# firewall. Their interfaces are fr-<id>; what exactly they may reach, and their masquerading, is in a table of the service's own.
{ config, lib, ... }:
let
  inherit (lib)
    mkDefault
    mkIf
    mkMerge
    mkOverride
    ;
  cfg = config.services.forgejo-runner-controller;
  raw = cfg.configFile != null;
  local = import ./local.nix lib config;
  # Older NixOS has two firewalls and no name for them.
  nftables = config.networking.firewall.backend or (if config.networking.nftables.enable then "nftables" else "iptables") == "nftables";
  interfaces = if nftables then "fr-*" else "fr-+";

  # The port that an address names, else that of its scheme.
  portOf =
    url:
    let
      parts = builtins.match "(https?)://([^]/:]+|[[][^]]*[]])(:([0-9]+))?(/.*)?" url;
      named = if parts == null then null else builtins.elemAt parts 3;
      scheme = if parts == null then "https" else builtins.head parts;
    in
    if named != null then lib.toInt named else if scheme == "http" then 80 else 443;
  hostOf =
    url:
    let
      parts = builtins.match "https?://([^]/:]+|[[][^]]*[]])(:[0-9]+)?(/.*)?" url;
    in
    if parts == null then "" else builtins.head parts;
  # Names by which machines know this host.
  namesOfHost = lib.concatMap (
    profile:
    lib.attrNames (lib.filterAttrs (_: address: lib.elem "host-gateway" (lib.toList address)) profile.container.extraHosts)
  ) (lib.attrValues cfg.profiles);
  isHere = forge: local.isLocal forge || (forge.instanceUrl != null && lib.elem (hostOf forge.instanceUrl) namesOfHost);
  forgePorts = map (forge: portOf (if forge.instanceUrl != null then forge.instanceUrl else forge.url)) (
    lib.filter isHere (lib.attrValues cfg.forges)
  );
in
{
  config = mkIf cfg.enable (mkMerge [
    {
      boot.kernel.sysctl = {
        # The service turns it on when it is off; a switch must not turn it off again. NixOS itself sets it by mkDefault, other modules at 97 to
        # 99, and two definitions of one priority are refused.
        "net.ipv4.conf.all.forwarding" = mkOverride 96 true;
        # Every machine that boots a system has a few dozen of them.
        "fs.inotify.max_user_instances" = mkOverride 1400 1024;
      };

      networking.dhcpcd.denyInterfaces = [ "fr-*" ];
      networking.networkmanager.unmanaged = [ "interface-name:fr-*" ];
      systemd.network.networks."05-forgejo-runner-controller" = {
        matchConfig.Name = "fr-*";
        linkConfig.Unmanaged = true;
      };

      networking.firewall.allowedTCPPorts = mkIf (cfg.openFirewall && !raw) [ cfg.settings.http.port ];
    }

    (mkIf cfg.network.passHostFirewall {
      networking.firewall.interfaces.${interfaces} = {
        allowedTCPPorts = lib.unique ([ 53 ] ++ forgePorts ++ cfg.network.openPorts);
        allowedUDPPorts = [ 53 ];
      };
      networking.firewall.extraForwardRules = mkIf (nftables && config.networking.firewall.filterForward) ''
        iifname "fr-*" accept
      '';
    })

    (mkIf (cfg.driver == "nixos-container") { boot.enableContainers = mkDefault true; })
  ]);
}
