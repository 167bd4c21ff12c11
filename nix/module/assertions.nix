# What cannot work is refused when the system is evaluated, each with a sentence that names the option and what to write instead.
{ config, lib, ... }:
let
  inherit (lib)
    any
    attrNames
    concatMap
    hasPrefix
    mapAttrsToList
    optional
    optionals
    ;
  cfg = config.services.forgejo-runner-controller;
  root = "services.forgejo-runner-controller";
  raw = cfg.configFile != null;
  addresses = import ./addresses.nix lib;
  local = import ./local.nix lib config;
  oldestRunner = "12.8.2";
  oldestForgejo = "15";
  forgejoVersion = config.services.forgejo.package.version;

  # A fault is a sentence; none is well.
  fault = wrong: sentence: optional wrong "${root}.${sentence}";

  secretFaults =
    name: path:
    if builtins.isPath path then
      fault true "${name} is the path literal ${toString path}: Nix would copy the secret into its store, where everybody may read it. Write it as a string, such as \"/run/secrets/forge-token\"."
    else if hasPrefix builtins.storeDir path then
      fault true "${name} is ${path}, in the Nix store, where everybody may read it. Let agenix or sops-nix put the secret under /run, or write the path of a file that only root reads."
    else
      fault (!hasPrefix "/" path || lib.hasInfix ":" path) "${name} is \"${path}\". Write the absolute path of a file, without colons.";
  givenSecrets = lib.filterAttrs (_: path: path != null) (
    {
      inherit (cfg) tokenFile apiTokenFile;
    }
    // lib.mapAttrs' (name: lib.nameValuePair "credentials.${name}") cfg.credentials
    // lib.optionalAttrs (!raw) (
      lib.mapAttrs' (name: forge: lib.nameValuePair "forges.${name}.tokenFile" (if forge.tokenFile == cfg.tokenFile then null else forge.tokenFile)) cfg.forges
      // lib.mapAttrs' (name: forge: lib.nameValuePair "forges.${name}.webhook.secretFile" forge.webhook.secretFile) cfg.forges
    )
  );

  isLoopback = url: builtins.match "https?://(localhost|127[.][0-9.]*|[[]::1[]])(:[0-9]+)?(/.*)?" url != null;
  reached = forge: if forge.instanceUrl != null then forge.instanceUrl else forge.url;
  scopesOf = scope: attrNames (lib.filterAttrs (_: value: value != null && value != false) scope);
  plainName = name: builtins.match "[a-z0-9][a-z0-9._-]{0,62}" name != null;

  hostName =
    name:
    builtins.match "[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*" name != null
    && builtins.match "[0-9.]+|(.*[.])?localhost" name == null;

  forgeFaults =
    name: forge:
    fault (!plainName name) "forges.\"${name}\": use a name of lower-case letters, digits, dot, dash and underscore."
    ++ fault (forge.url == null) "forges.${name}.url is not set, and services.forgejo is not enabled on this host. Write the address of the forge."
    ++ fault (builtins.length (scopesOf forge.scope) != 1) "forges.${name}.scope names ${
      if scopesOf forge.scope == [ ] then "nothing" else lib.concatStringsSep " and " (scopesOf forge.scope)
    }. Set exactly one of repository, organization, user and instance."
    ++ fault (forge.tokenFile == null) "forges.${name}.tokenFile is not set. Write the path of a file with the access token, there or in ${root}.tokenFile."
    ++ fault (forge.webhook.pollInterval != null && forge.webhook.secretFile == null) "forges.${name}.webhook.pollInterval has no effect without webhook.secretFile. Set that, or leave it out."
    ++ fault (forge.webhook.ensure != null && forge.webhook.secretFile == null) "forges.${name}.webhook.ensure has no effect without webhook.secretFile. Set that, or leave it out."
    ++ fault (forge.webhook.ensure == null && (forge.webhook.events != [ ] || !forge.webhook.active)) "forges.${name}.webhook.events and active have no effect without webhook.ensure. Set that, or leave them out."
    ++ fault (forge.url != null && isLoopback (reached forge)) "forges.${name}.instanceUrl is ${reached forge}, and in a machine loopback is the machine itself. Write an address that machines can reach, or set services.forgejo.settings.server.DOMAIN or ROOT_URL.";

  setOf = labels: builtins.sort (a: b: a < b) labels;
  gateOf = profile: { inherit (profile) forks repositories events; };
  profileFaults =
    name: profile:
    let
      inherit (profile) container labels;
      where = "profiles.${name}";
      kinds =
        optional (container.config != null) "config"
        ++ optional (container.toplevel != null) "toplevel"
        ++ optional (container.directory != null) "directory";
      odd = lib.filter (label: builtins.match "[^,:[:cntrl:]]+" label == null) labels;
      twins = lib.filter (
        other:
        other != name
        && setOf cfg.profiles.${other}.labels == setOf labels
        && gateOf cfg.profiles.${other} == gateOf cfg.profiles.${name}
        && other < name
      ) (attrNames cfg.profiles);
    in
    fault (!plainName name) "profiles.\"${name}\": use a name of lower-case letters, digits, dot, dash and underscore."
    ++ fault (labels == [ ]) "${where}.labels is empty, so no job would ever be served. List the labels that workflows ask for in runs-on."
    ++ concatMap (label: fault true "${where}.labels has \"${label}\". Write names as they stand in runs-on, one for each item, without commas and colons.") odd
    ++ fault (lib.unique labels != labels) "${where}.labels has a label twice. Keep one of them."
    ++ concatMap (other: fault true "${where}.labels are those of profiles.${other}, so one of the two would never be used. Change the labels of one of them.") twins
    ++ fault (builtins.length kinds > 1) "${where}.container has ${lib.concatStringsSep " and " kinds}, and a machine is made of one thing. Keep one of them."
    ++ fault (container.extraPackages != [ ] && (container.toplevel != null || container.directory != null)) "${where}.container.extraPackages has no effect beside toplevel or directory. Put the packages into that, or use config."
    ++ fault (container.boot && container.directory == null) "${where}.container.boot is for a directory. A NixOS configuration boots anyway: leave it out."
    ++ fault (container.podman.enable && container.config == null && container.toplevel == null && !(container.directory != null && container.boot)) "${where}.container.podman.enable needs a machine that boots. Set container.config = { }, container.toplevel, or container.directory with container.boot."
    ++ fault (container.nix.access == "daemon" && !config.nix.enable) "${where}.container.nix.access is daemon, but this host has no Nix daemon (nix.enable is false). Leave it out."
    ++ fault (container.nix.access == "own" && container.directory == null && !config.nix.enable) "${where}.container.nix.access is own, but this host has no Nix to say what its machines are made of (nix.enable is false). Leave it out."
    ++ fault (container.nix.access == "own" && cfg.driver == "nixos-container") "${where}.container.nix.access is own, which containers of the driver nixos-container cannot have. Use the driver nspawn, or \"daemon\"."
    ++ fault (container.nix.access == "daemon" && lib.elem "*" config.nix.settings.trusted-users) "${where}.container.nix.access is daemon, but nix.settings.trusted-users has \"*\": every job could become root of this host. Name the users whom the daemon is to trust."
    ++ fault (container.nix.access == "daemon" && !lib.elem "*" config.nix.settings.allowed-users) "${where}.container.nix.access is daemon, but nix.settings.allowed-users leaves jobs out, whose users have no names. Set it to [ \"*\" ]."
    ++ fault (cfg.driver == "nixos-container" && container.config == null && container.toplevel == null) "${where}: the driver nixos-container boots NixOS systems. Set container.config or container.toplevel, or use the driver nspawn."
    ++ concatMap (
      name: fault (!hostName name) "${where}.container.extraHosts has \"${name}\". Write the name of a host first, such as \"git.lan\", and its address behind it."
    ) (attrNames container.extraHosts)
    ++ concatMap (
      target:
      fault (!hasPrefix "/" target || !hasPrefix "/" container.bindMounts.${target}.hostPath) "${where}.container.bindMounts.\"${target}\": write absolute paths, in the machine and on the host."
    ) (attrNames container.bindMounts);

  astray = lib.filter (name: name == "lo" || hasPrefix "fr-" name) (
    lib.toList cfg.network.externalInterface
  );

  slots = addresses.slotsOf cfg.network.pool cfg.network.prefix;
  secretLike = name: builtins.match ".*(TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|PRIVATE_?KEY)" name != null;
  beside = lib.filter (name: cfg.serviceOverrides ? ${name}) [
    "User"
    "DynamicUser"
    "PrivateUsers"
    "PrivateNetwork"
    "NetworkNamespacePath"
    "RootDirectory"
    "RootImage"
  ];

  settingsFaults =
    fault (cfg.forges == { } && !(cfg.settings ? forges && cfg.settings.forges != [ ])) "forges is empty: there is nobody to ask for jobs. Set forges.<name>.url, its scope and a tokenFile."
    ++ lib.concatLists (mapAttrsToList forgeFaults cfg.forges)
    ++ lib.concatLists (mapAttrsToList profileFaults cfg.profiles)
    ++ fault (slots == null) "network.pool is \"${cfg.network.pool}\". Write FIRST-LAST or a CIDR of private IPv4 addresses, such as 192.168.100.0-192.168.199.255."
    ++ fault (slots != null && cfg.settings.maxConcurrent > slots) "settings.maxConcurrent is ${toString cfg.settings.maxConcurrent}, but network.pool has room for ${toString slots} machines. Lower it, widen the pool, or raise network.prefix."
    ++ concatMap (name: fault true "network.externalInterface has \"${name}\", by which nothing leaves this host. Name the interface of an uplink, such as \"enp1s0\".") astray
    ++ fault (cfg.openFirewall && isLoopback "http://${cfg.settings.http.host}") "openFirewall is set, but the API listens on ${cfg.settings.http.host} alone. Set settings.http.host, or leave openFirewall out."
    ++ fault (cfg.openFirewall && cfg.apiTokenFile == null && !(cfg.settings.http ? tokenFile)) "openFirewall is set without apiTokenFile, and then nobody is answered from outside. Set apiTokenFile.";

  rawFaults =
    fault (cfg.forges != { }) "configFile is set beside forges, which would have no effect. Keep one of them."
    ++ fault cfg.openFirewall "openFirewall needs to know settings.http, and with configFile the module does not. Open the port by networking.firewall.allowedTCPPorts."
    ++ fault (!cfg.polling.enable) "configFile is set beside polling.enable, which would have no effect. Write maxConcurrent: 0 into that file."
    ++ fault (cfg.driver != "nspawn") "configFile is set beside driver, which would have no effect. Write driver into that file, and leave this option out.";

  faults =
    lib.concatLists (mapAttrsToList secretFaults givenSecrets)
    ++ (if raw then rawFaults else settingsFaults)
    ++ fault (!lib.versionAtLeast (cfg.runnerPackage.version or "0") oldestRunner) "runnerPackage is forgejo-runner ${
      cfg.runnerPackage.version or "of unknown version"
    }, and ${oldestRunner} is the oldest that can run exactly one job. Use a newer nixpkgs for this package."
    ++ fault (any local.isLocal (lib.attrValues cfg.forges) && !lib.versionAtLeast forgejoVersion oldestForgejo) "forges: services.forgejo.package is Forgejo ${forgejoVersion}, and ${oldestForgejo} is the oldest that gives a job to one runner alone. Set it to pkgs.forgejo."
    ++ concatMap (name: fault (secretLike name) "extraEnv.${name} looks like a secret, and the environment is in the Nix store. Put it into a file: tokenFile, or credentials.") (attrNames cfg.extraEnv)
    ++ concatMap (name: fault true "serviceOverrides.${name} would keep the service from starting machines: it runs as root, among the users and in the network of the host. Leave it out.") beside
    ++ fault (cfg.driver == "nixos-container" && !config.boot.enableContainers) "driver is nixos-container, but boot.enableContainers is false. Leave that out, or use the driver nspawn.";
in
{
  config = lib.mkIf cfg.enable {
    # One assertion for each sentence: all are told at once.
    assertions = map (message: {
      assertion = false;
      inherit message;
    }) faults;

    warnings =
      optional (config.virtualisation.docker.enable) "${root}: Docker on this host sets the policy of the FORWARD chain to DROP, and machines reach no network through it. Set virtualisation.docker.daemon.settings.\"ip-forward-no-drop\" = true, or let packets from and to fr-+ pass in the chain DOCKER-USER."
      ++ optionals (!raw && any (profile: profile.container.nix.access == "daemon") (lib.attrValues cfg.profiles)) [
        "${root}: with container.nix.access = \"daemon\" whatever a job builds stays in this host's store until its garbage is collected, and all may read it. See docs/SECURITY.md."
      ];
  };
}
