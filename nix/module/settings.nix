# From the options to the one configuration that the service reads. Everything is a default of `settings`, so that a key there wins.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    mapAttrsToList
    mkDefault
    mkIf
    optionalAttrs
    ;
  cfg = config.services.forgejo-runner-controller;

  # What is null or empty is left to the service's own default.
  given = lib.filterAttrs (_: value: value != null && value != { } && value != [ ]);

  forgeOf = name: forge: given {
    inherit name;
    inherit (forge) url instanceUrl pollInterval;
    caFile = if forge.caFile == null then null else "${forge.caFile}";
    scope = lib.filterAttrs (_: value: value != null && value != false) forge.scope;
    # systemd's copy is as old as the start; a token that may come later is read where it will be.
    tokenFile = if forge.allowPending then toString forge.tokenFile else "$CREDENTIALS_DIRECTORY/forge-${name}";
    allowPending = if forge.allowPending then true else null;
    webhook = optionalAttrs (forge.webhook.secretFile != null) (given {
      secretFile = "$CREDENTIALS_DIRECTORY/webhook-${name}";
      inherit (forge.webhook) pollInterval ensure events;
      active = if forge.webhook.active then null else false;
    });
  };

  packagesOf =
    container: container.extraPackages ++ lib.optional (container.nix.access != "none") config.nix.package;

  templateOf =
    container:
    if container.directory != null then
      {
        kind = if container.boot then "system" else "directory";
        path = container.directory;
      }
    else if container.toplevel != null then
      {
        kind = "nixos";
        path = "${container.toplevel}";
      }
    else if container.config != null then
      {
        kind = "nixos";
        path = "${import ../templates/system.nix {
          inherit pkgs;
          extraPackages = packagesOf container;
          runner = cfg.runnerPackage;
          modules = [
            container.config
          ] ++ lib.optional container.podman.enable { virtualisation.podman.enable = mkDefault true; };
        }}";
      }
    else
      {
        kind = "nix-env";
        path = "${import ../templates/env.nix {
          inherit pkgs;
          extraPackages = packagesOf container;
          runner = cfg.runnerPackage;
        }}";
      };

  profileOf =
    name: profile:
    given {
      inherit name;
      inherit (profile) labels max environment forks;
      warm = if lib.isAttrs profile.warm then given profile.warm else profile.warm;
      template = templateOf profile.container;
      runner = lib.getExe cfg.runnerPackage;
      limits = given { inherit (profile) cpus memory tasks disk; };
      timeouts = given profile.timeouts;
      repositories = given profile.repositories;
      events = given profile.events;
      inherit (profile.container) nameservers extraHosts;
      nix = optionalAttrs (profile.container.nix.access != "none") { inherit (profile.container.nix) access; };
      containers = if profile.container.podman.enable then "podman" else null;
      binds = mapAttrsToList (target: bind: {
        source = bind.hostPath;
        inherit target;
        writable = !bind.isReadOnly;
      }) profile.container.bindMounts;
    }
    # Without any of its own settings, too, it is one.
    // optionalAttrs (profile.cache != null) { cache = given profile.cache; }
    // profile.settings;

  byPriority =
    let
      names = lib.attrNames cfg.profiles;
    in
    map (name: profileOf name cfg.profiles.${name}) (
      lib.sort (a: b: cfg.profiles.${a}.priority < cfg.profiles.${b}.priority) names
    );
in
{
  config.services.forgejo-runner-controller.settings = mkIf cfg.enable {
    forges = mkDefault (mapAttrsToList forgeOf cfg.forges);
    profiles = mkDefault byPriority;
    network = lib.mapAttrs (_: mkDefault) (given {
      inherit (cfg.network)
        pool
        prefix
        nameservers
        allow
        deny
        openPorts
        mtu
        ;
      externalInterface = lib.toList cfg.network.externalInterface;
      masquerade = if cfg.network.nat.enable then null else false;
    });
    maxConcurrent = mkIf (!cfg.polling.enable) (lib.mkForce 0);
    driver = mkIf (cfg.driver != "nspawn") (mkDefault cfg.driver);
    # Where the command keeps its containers is baked into it.
    nixosContainer = mkIf (cfg.driver == "nixos-container" && lib.versionOlder config.system.stateVersion "22.05") {
      configurationDirectory = mkDefault "/etc/containers";
      stateDirectory = mkDefault "/var/lib/containers";
    };
    http.tokenFile = mkIf (cfg.apiTokenFile != null) (mkDefault "$CREDENTIALS_DIRECTORY/api-token");
  };
}
