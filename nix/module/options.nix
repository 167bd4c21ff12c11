# The options of the service itself, its forges and its network; those of profiles are in profiles.nix.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;
  kinds = import ./kinds.nix lib;
  format = pkgs.formats.json { };
  cfg = config.services.forgejo-runner-controller;
  local = import ./local.nix lib config;

  optional =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };

  scope.options = {
    repository = optional types.str "Jobs of one repository, as `owner/name`.";
    organization = optional types.str "Jobs of all repositories of an organization.";
    user = mkOption {
      type = types.bool;
      default = false;
      description = "Jobs of all repositories of the user whose token it is.";
    };
    instance = mkOption {
      type = types.bool;
      default = false;
      description = "Jobs of the whole instance; the token is an administrator's.";
    };
  };

  forge = forge: {
    options = {
      url = mkOption {
        type = types.nullOr types.str;
        default = local.url;
        defaultText = literalExpression "LOCAL_ROOT_URL, else ROOT_URL, of services.forgejo when that is enabled on this host";
        example = "https://forge.example.org";
        description = "Where the service asks for jobs.";
      };
      instanceUrl = mkOption {
        type = types.nullOr types.str;
        default = if local.isLocal forge.config then config.services.forgejo.settings.server.ROOT_URL else null;
        defaultText = literalExpression "ROOT_URL of services.forgejo when the forge is that one, else null: the same as url";
        description = "Where machines reach the same forge. In a machine, loopback is the machine itself.";
      };
      caFile = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = "/etc/ssl/certs/internal-ca.pem";
        description = ''
          File with the certificates (PEM) of who alone may have signed that of `url`, for a forge with an authority of your own. Machines need
          to trust it, too: see docs/OPERATIONS.md.
        '';
      };
      scope = mkOption {
        type = types.submodule scope;
        default = { };
        example = {
          organization = "builders";
        };
        description = "Whose jobs: exactly one of its options.";
      };
      tokenFile = mkOption {
        type = types.nullOr kinds.secretFile;
        default = cfg.tokenFile;
        defaultText = literalExpression "config.services.forgejo-runner-controller.tokenFile";
        example = "/run/agenix/forge-token";
        description = "File with the access token of this forge. docs/SECURITY.md says which rights it needs.";
      };
      allowPending = mkOption {
        type = types.bool;
        default = cfg.allowPending;
        defaultText = literalExpression "config.services.forgejo-runner-controller.allowPending";
        description = ''
          Start even if the token file is missing, empty or holds a placeholder (`PENDING-...`); polling begins when it holds a token.
          The service then reads the file itself, again whenever it changes, instead of a copy that systemd makes of it at the start.
        '';
      };
      pollInterval = optional (types.either kinds.duration (
        types.enum [ "none" ]
      )) "How often this forge is asked for jobs while it is quiet. `none`: after webhooks and orders, and while jobs of it start or end; else every ten minutes alone. Default: that of `settings`.";
      webhook.secretFile = mkOption {
        type = types.nullOr kinds.secretFile;
        default = null;
        example = "/run/agenix/webhook-secret";
        description = "File with the secret of a webhook: deliveries to /webhook/<name> of the API, signed with it, wake the poll.";
      };
      webhook.ensure = optional types.str "Where the forge reaches /webhook/<name> of the API: the service makes sure of the webhook there. Default: nobody's hand but yours.";
      webhook.events = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [
          "push"
          "pull_request"
        ];
        description = "Of what that webhook tells, as Forgejo's API names it. Default: of all that may make jobs wait.";
      };
      webhook.active = mkOption {
        type = types.bool;
        default = true;
        description = "Whether that webhook sends anything.";
      };
      webhook.pollInterval = optional kinds.duration "How often the forge is asked once deliveries come, 2m at most. Default: as often as without.";
    };
  };

  settings = {
    freeformType = format.type;
    options = {
      controllerId = mkOption {
        type = types.nullOr (types.strMatching "[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?");
        default =
          if builtins.match "[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?" config.networking.hostName != null then
            config.networking.hostName
          else
            null;
        defaultText = literalExpression "config.networking.hostName when it may be one, else null: the service makes one of it and warns";
        description = ''
          Marks all that this controller makes, on the host and in the forges. Two controllers must never share it. Do not change it while
          jobs run.
        '';
      };
      stateDir = mkOption {
        type = types.str;
        default = "/var/lib/forgejo-runner-controller";
        description = "Records of what runs. Its file system must take idmapped mounts (ext4, xfs, btrfs, zfs 2.2).";
      };
      maxConcurrent = mkOption {
        type = types.ints.between 0 10000;
        default = 7;
        description = "How many machines at once, at most; also at most as many as `network.pool` has subnets.";
      };
      maxPerRepository = optional types.ints.positive "How many of them for one repository. Default: no limit of its own.";
      pollInterval = optional kinds.duration "How often a quiet forge is asked for jobs. Default: 1s.";
      jobTimeout = optional kinds.duration "How long a job may take, where its profile does not say. Default: 2h.";
      logLevel = mkOption {
        type = types.enum [
          "debug"
          "info"
          "warn"
          "error"
        ];
        default = "info";
        description = "Of what weight lines are written to the journal.";
      };
      http.host = mkOption {
        type = types.str;
        default = "127.0.0.1";
        description = "Where the API listens. On another address than loopback everything needs `apiTokenFile`; put a proxy with TLS before it.";
      };
      http.port = mkOption {
        type = types.port;
        default = 8080;
        description = "Its port.";
      };
    };
  };
in
{
  options.services.forgejo-runner-controller = {
    enable = lib.mkEnableOption "the runner controller for Forgejo Actions";

    package = mkOption {
      type = types.package;
      default = pkgs.forgejo-runner-controller or (pkgs.callPackage ../package.nix { });
      defaultText = literalExpression "pkgs.forgejo-runner-controller, else built from this tree";
      description = "The package with the service and `runner-status`.";
    };

    runnerPackage = mkOption {
      type = types.package;
      default = pkgs.forgejo-runner;
      defaultText = literalExpression "pkgs.forgejo-runner";
      description = "The forgejo-runner that machines run, 12.8.2 or newer. As part of the Nix store it is pinned by its hash.";
    };

    forges = mkOption {
      type = types.attrsOf (types.submodule forge);
      default = { };
      example = literalExpression ''
        { forge = { url = "https://forge.example.org"; scope.organization = "builders"; }; }
      '';
      description = "The forges whose jobs are run, by a name for logs and `runner-status`.";
    };

    tokenFile = mkOption {
      type = types.nullOr kinds.secretFile;
      default = null;
      example = "/run/agenix/forge-token";
      description = ''
        File with the access token of every forge that names none of its own. systemd copies it for the service alone at its start
        (LoadCredential), so it may stay readable for root only; a new token needs a restart. With `configFile` the copy is
        `$CREDENTIALS_DIRECTORY/forge-token`.
      '';
    };

    allowPending = mkOption {
      type = types.bool;
      default = false;
      description = "Default of `forges.<name>.allowPending`: for a roll-out in which the service comes before its tokens.";
    };

    apiTokenFile = mkOption {
      type = types.nullOr kinds.secretFile;
      default = null;
      example = "/run/agenix/runner-api-token";
      description = ''
        File with the token of the API: who has it may drain, resume, poll, stop and sweep over TCP. Without it only root may, over the
        service's socket.
      '';
    };

    credentials = mkOption {
      type = types.attrsOf kinds.secretFile;
      default = { };
      example = {
        mirror = "/run/agenix/mirror-token";
      };
      description = "Further files that systemd copies for the service; `configFile` or `settings` may name them as `$CREDENTIALS_DIRECTORY/<name>`.";
    };

    settings = mkOption {
      type = types.submodule settings;
      default = { };
      example = {
        maxConcurrent = 12;
        metrics.perRepository = true;
      };
      description = ''
        The configuration of the service; config.example.yaml describes every key. `forges`, `profiles` and `network` are filled in from
        the options of those names, and what stands here wins over them. It is readable for everybody in the Nix store: name files, never
        write secrets.
      '';
    };

    configFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/run/agenix/forgejo-runner-controller.yaml";
      description = ''
        A ready configuration, in place of `settings`, `forges`, `profiles` and `network`: for those who make it elsewhere, such as a
        secrets manager. As a string it is read where it is.
      '';
    };

    checkConfig = mkOption {
      type = types.bool;
      default = pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform;
      defaultText = literalExpression "whether this machine can run programs of the host";
      description = "Let the service's own `check-config` read the rendered settings when the system is built, so that no switch brings a mistake.";
    };

    polling.enable = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether waiting jobs are taken. Without it the service runs, finishes what it began and tells what waits, and starts nothing:
        `settings.maxConcurrent` is 0. A switch only reloads it, and touches no running job.
      '';
    };

    driver = mkOption {
      type = types.enum [
        "nspawn"
        "nixos-container"
      ];
      default = "nspawn";
      description = ''
        How machines are made: `nspawn` asks systemd directly and has every protection; `nixos-container` uses the command of that name, with
        a `nixos` template in every profile.
      '';
    };

    extraEnv = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = {
        NODE_EXTRA_CA_CERTS = "/etc/ssl/certs/internal-ca.pem";
      };
      description = "Environment of the service. Never secrets: it is in the Nix store.";
    };

    extraPath = mkOption {
      type = types.listOf (types.either types.package types.str);
      default = [ ];
      description = "More packages on the PATH of the service.";
    };

    serviceOverrides = mkOption {
      type = types.attrsOf types.anything;
      default = { };
      example = {
        MemoryMax = "1G";
      };
      description = "Lines of the unit's [Service] section that win over those of the module.";
    };

    sliceConfig = mkOption {
      type = types.attrsOf types.anything;
      default = { };
      example = {
        CPUQuota = "800%";
        MemoryMax = "48G";
      };
      description = "What all machines together may use: the [Slice] section of machine-forgejorunners.slice, in which each is a unit of its own.";
    };

    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the host's firewall lets others reach the API (`settings.http`).";
    };

    network = {
      pool = mkOption {
        type = types.str;
        default = "192.168.100.0-192.168.199.255";
        example = "10.99.0.0/18";
        description = "Private IPv4 addresses that nothing else uses, as FIRST-LAST or a CIDR: cut into one subnet for each machine.";
      };
      prefix = mkOption {
        type = types.ints.between 16 30;
        default = 24;
        description = "Bits of a subnet. With 30 a pool has room for the most machines.";
      };
      nameservers = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "9.9.9.9" ];
        description = "Resolvers for machines. Default: those of the host.";
      };
      allow = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "10.1.2.0/24" ];
        description = "Private networks that jobs may reach; all others are closed to them, and so are the host, other machines and link-local addresses.";
      };
      deny = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "203.0.113.0/24" ];
        description = "Further networks that jobs may not reach, also where `allow` has them. The forge and resolvers stay reachable.";
      };
      openPorts = mkOption {
        type = types.listOf types.port;
        default = [ ];
        example = [ 3142 ];
        description = "TCP ports of the host that jobs may reach, beside a forge's and DNS.";
      };
      externalInterface = mkOption {
        type = types.either kinds.interface (types.listOf kinds.interface);
        default = [ ];
        example = [
          "enp1s0"
          "wg0"
        ];
        description = ''
          By which interfaces of the host that what machines send may leave, also to a forge and to resolvers; what would go by another one is refused.
          Default: any. Which of them it takes is up to the host's routes.
        '';
      };
      mtu = mkOption {
        type = types.nullOr (types.ints.between 576 65535);
        default = null;
        example = 1400;
        description = "MTU of the interfaces of machines. Default: that of the way to the internet, or the smallest of `externalInterface`, when the service starts.";
      };
      nat.enable = mkOption {
        type = types.bool;
        default = true;
        description = ''
          Whether what machines send leaves with the address of the host. Without it, it has an address of `network.pool`, and whoever routes that sees
          to the way back, `networking.nat` for one. What machines may reach stays the same.
        '';
      };
      passHostFirewall = mkOption {
        type = types.bool;
        default = true;
        description = ''
          Whether the host's firewall passes what comes from machines to DNS, to a forge on this host and to `network.openPorts`. What exactly
          a machine may reach is held by a table of the service's own.
        '';
      };
    };
  };
}
