# The unit, from the one source that all distributions share (nix/unit.json), and the file it reads.
#
# Machines are units of their own in a slice of their own, which no switch touches, and short commands under way are in a unit of their own, too:
# so the unit may be restarted at any moment (restartIfChanged stays true), and running jobs go on. A configuration that changed needs no restart:
# the file is at a fixed place, and a switch only reloads the service (SIGHUP), unless it changed in what is read at the start alone.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    isList
    isString
    mapAttrs
    mapAttrsToList
    mkDefault
    mkIf
    ;
  cfg = config.services.forgejo-runner-controller;
  raw = cfg.configFile != null;
  source = lib.importJSON ../unit.json;
  cacheDir = if raw then null else cfg.settings.cacheDir or null;
  folder = mode: {
    inherit mode;
    user = "root";
    group = "root";
  };
  usualStateDir = "/var/lib/forgejo-runner-controller";
  # Where runner-status looks for it, too; JSON is YAML.
  place = "forgejo-runner-controller/config.yaml";

  # The service takes no null for a key that is not there.
  present = value: if lib.isDerivation value then value else if builtins.isAttrs value then mapAttrs (_: present) (lib.filterAttrs (_: inner: inner != null) value) else if isList value then map present value else value;
  rendered = (pkgs.formats.json { }).generate "forgejo-runner-controller.json" (present cfg.settings);
  checked = pkgs.runCommand "forgejo-runner-controller-checked.json" { } ''
    CREDENTIALS_DIRECTORY=/run/credentials ${lib.getExe cfg.package} check-config --pending --config ${rendered} >/dev/null
    cp ${rendered} $out
  '';
  file = if cfg.checkConfig then checked else rendered;
  configPath = if raw then (if builtins.isPath cfg.configFile then "${cfg.configFile}" else cfg.configFile) else "/etc/${place}";

  credentials =
    lib.optionalAttrs (raw && cfg.tokenFile != null) { forge-token = cfg.tokenFile; }
    // lib.optionalAttrs (!raw) (
      lib.mapAttrs' (name: forge: lib.nameValuePair "forge-${name}" forge.tokenFile) (
        lib.filterAttrs (_: forge: !forge.allowPending) cfg.forges
      )
      // lib.mapAttrs' (name: forge: lib.nameValuePair "webhook-${name}" forge.webhook.secretFile) (
        lib.filterAttrs (_: forge: forge.webhook.secretFile != null) cfg.forges
      )
    )
    // lib.optionalAttrs (cfg.apiTokenFile != null) { api-token = cfg.apiTokenFile; }
    // cfg.credentials;

  fill =
    value:
    if isList value then
      map fill value
    else
      lib.replaceStrings [ "@kill@" ] [ (lib.getExe' pkgs.coreutils "kill") ] value;
  words = value: lib.filter (word: isString word && word != "") (lib.splitString " " value);

  service =
    mapAttrs (_: value: mkDefault (fill value)) (
      removeAttrs source.Service [
        "ExecStart"
        "LoadCredential"
        "StateDirectory"
        "StateDirectoryMode"
        "CacheDirectory"
        "CacheDirectoryMode"
      ]
    )
    // {
      # The package's wrapper has the flags of node that the source has here.
      ExecStart = mkDefault "${lib.getExe cfg.package} --config ${configPath}";
      # A path literal must not be copied on its way to the assertion that refuses it.
      LoadCredential = mapAttrsToList (name: path: "${name}:${toString path}") credentials;
    }
    // (
      if cfg.settings.stateDir == usualStateDir || raw then
        {
          StateDirectory = mkDefault source.Service.StateDirectory;
          StateDirectoryMode = mkDefault source.Service.StateDirectoryMode;
        }
      else
        # All else is read-only to the service.
        { ReadWritePaths = [ cfg.settings.stateDir ]; }
    );
  # A cacheDir elsewhere is read-only to the service, too.
  cache =
    if cacheDir == null then
      {
        CacheDirectory = mkDefault source.Service.CacheDirectory;
        CacheDirectoryMode = mkDefault source.Service.CacheDirectoryMode;
      }
    else
      { ReadWritePaths = [ cacheDir ]; };
in
{
  config = mkIf cfg.enable {
    environment.etc = mkIf (!raw) {
      # A copy for root: what is in the store is read by everybody.
      ${place} = {
        source = file;
        mode = "0640";
      };
    };
    environment.systemPackages = [ cfg.package ];

    systemd.services.forgejo-runner-controller = {
      description = source.Unit.Description;
      documentation = [ source.Unit.Documentation ];
      wants = words source.Unit.Wants ++ lib.optional config.services.forgejo.enable "forgejo.service";
      after =
        words source.Unit.After
        ++ [ "firewall.service" ]
        ++ lib.optional config.services.forgejo.enable "forgejo.service";
      wantedBy = words source.Install.WantedBy;
      unitConfig = mapAttrs (_: mkDefault) (
        removeAttrs source.Unit [
          "Description"
          "Documentation"
          "Wants"
          "After"
        ]
      );
      path = [
        config.systemd.package
        pkgs.iproute2
        pkgs.nftables
        pkgs.util-linux
        pkgs.coreutils
        pkgs.bash
        pkgs.e2fsprogs
        cfg.runnerPackage
      ]
      ++ lib.optionals (cfg.driver == "nixos-container") [
        # The command of the running system: its places on disk are baked into it.
        "/run/current-system/sw"
        config.nix.package
        pkgs.findutils
        pkgs.gnugrep
      ]
      ++ cfg.extraPath;
      environment = {
        RUNNER_PATH = lib.getExe cfg.runnerPackage;
      }
      // cfg.extraEnv;
      serviceConfig = lib.mkMerge [
        service
        cache
        cfg.serviceOverrides
      ];
      # One short gap, after the new files are in place.
      stopIfChanged = false;
      reloadTriggers = mkIf (!raw) [ file ];
      # What a reload does not take.
      restartTriggers = mkIf (!raw) [
        (builtins.toJSON (
          present {
            inherit (cfg.settings)
              controllerId
              stateDir
              network
              http
              ;
            inherit cacheDir;
            driver = cfg.settings.driver or null;
            nixosContainer = cfg.settings.nixosContainer or null;
          }
        ))
      ];
    };

    systemd.slices.machine-forgejorunners = {
      description = "Machines of forgejo-runner-controller";
      sliceConfig = cfg.sliceConfig;
    };

    systemd.tmpfiles.settings.forgejo-runner-controller = lib.mkMerge [
      (mkIf (!raw && cfg.settings.stateDir != usualStateDir) {
        ${cfg.settings.stateDir}.d = folder source.Service.StateDirectoryMode;
      })
      (mkIf (cacheDir != null) { ${cacheDir}.d = folder source.Service.CacheDirectoryMode; })
    ];
  };
}
