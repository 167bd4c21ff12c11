# The options of profiles: which labels, what the machine is made of, which limits and clocks.
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

  optional =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };

  words =
    example: description:
    mkOption {
      type = types.listOf types.str;
      default = [ ];
      inherit example description;
    };

  bind =
    { name, ... }:
    {
      options = {
        hostPath = mkOption {
          type = types.str;
          default = name;
          defaultText = literalExpression "the name: the same path in the machine and on the host";
          description = "Path on the host. Its parts must be made for jobs: places of secrets are refused by the service.";
        };
        isReadOnly = mkOption {
          type = types.bool;
          default = true;
          description = "Whether jobs may only read it.";
        };
      };
    };

  container.options = {
    config = mkOption {
      type = types.nullOr types.deferredModule;
      default = null;
      example = literalExpression ''
        { pkgs, ... }: { services.postgresql.enable = true; }
      '';
      description = ''
        A NixOS configuration: the machine boots it, with systemd, and the job runs in it as a unit. It is built with this host's own system,
        never when a job starts. Costs about half a second for each job; without it, and without the two options below, jobs run directly on
        the packages of a `nix-env`, which takes a twentieth of that.
      '';
    };
    toplevel = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = "A built NixOS system in place of `config`: its `config.system.build.toplevel`.";
    };
    directory = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/var/lib/machines/debian-12";
      description = "A root directory of any distribution, of which each machine sees a throw-away overlay.";
    };
    boot = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the systemd of `directory` is started, and the job is a unit of it.";
    };
    extraPackages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      example = literalExpression "[ pkgs.gnumake pkgs.gcc ]";
      description = ''
        Packages for jobs beside those that every machine has: git, bash, coreutils, curl, jq, nodejs, tar, gzip, xz, CA certificates. Not with
        `toplevel` or `directory`.
      '';
    };
    bindMounts = mkOption {
      type = types.attrsOf (types.submodule bind);
      default = { };
      example = {
        "/var/cache/ccache" = {
          isReadOnly = false;
        };
      };
      description = "Paths of the host that jobs see, by their path in the machine.";
    };
    nameservers = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "10.1.2.53" ];
      description = "Resolvers for these machines, and the only ones that they reach. Default: those of `network.nameservers`, else of the host.";
    };
    extraHosts = mkOption {
      type = types.attrsOf (types.either kinds.address (types.listOf kinds.address));
      default = { };
      example = {
        "git.lan" = "10.0.0.5";
        "host.docker.internal" = "host-gateway";
      };
      description = ''
        Names for the /etc/hosts of these machines, each with an address or a list of them; `host-gateway` is this host. Names open nothing: but for a forge's,
        a private address belongs into `network.allow`, too, and a port of this host into `network.openPorts`.
      '';
    };
    nix.access = mkOption {
      type = types.enum [
        "none"
        "daemon"
        "own"
      ];
      default = "none";
      description = ''
        How jobs may build with Nix. `daemon`: by the host's daemon, as an untrusted user: what they build lands in the host's store, and later
        jobs find it there. `own`: in a store of their machine's own over that of the host: what they build counts against `disk`, goes with the
        machine, and no other job finds it. docs/SECURITY.md has the risks.
      '';
    };
    podman.enable = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether jobs may run containers, by `podman` and by whatever speaks Docker's API, within their machine and with no right over it or the
        host. It needs a machine that boots: `config` (to which Podman is added), `toplevel`, or `directory` with `boot`. docs/SECURITY.md has
        the risks; `forks` is `refuse` for such a profile unless it is set.
      '';
    };
  };

  profile =
    { name, ... }:
    {
      options = {
        labels = mkOption {
          type = types.listOf types.str;
          default = [ name ];
          defaultText = literalExpression "[ the name of the profile ]";
          example = [
            "nix"
            "x64"
          ];
          description = "A job is served if all labels of its `runs-on` are in this list.";
        };
        priority = mkOption {
          type = types.int;
          default = 1000;
          description = "Of several profiles that serve a job, that with the lowest number takes it; the name decides between equals.";
        };
        container = mkOption {
          type = types.submodule container;
          default = { };
          description = "What its machines are made of.";
        };
        cpus = optional kinds.cpus "Processors for each machine. Default: no limit.";
        memory = optional kinds.size "Memory for each machine, without swap. Default: 4GiB.";
        tasks = optional kinds.tasks "Processes and threads for each machine. Default: 4096.";
        disk = optional kinds.size "Disk for each machine. Default: no limit.";
        timeouts = {
          start = optional kinds.duration "Until the machine is up. Default: 60s.";
          pick = optional kinds.duration "Until its job is taken. Default: 30s.";
          job = optional kinds.duration "Until its job is done. Default: `settings.jobTimeout`.";
          stop = optional kinds.duration "Between asking a machine to end and ending it by force. Default: 10s.";
        };
        forks = optional (types.enum [
          "accept"
          "refuse"
        ]) "Whether jobs of pull requests of forks are taken. Default: `accept`, with `container.podman.enable` `refuse`.";
        repositories = {
          allow = words [ "builders/*" ] "Repositories of which alone jobs are taken, as `owner/name`; `*` is any part of one of the two. Default: all. What Forgejo does not tell is not taken (16 and newer do).";
          deny = words [ "builders/sandbox" ] "Repositories of which none is taken.";
        };
        events = {
          allow = words [
            "push"
            "pull_request"
          ] "Events by which alone jobs are taken, as a workflow writes them below `on`. Default: all. What Forgejo does not tell is not taken.";
          deny = words [ "schedule" ] "Events by which none is taken.";
        };
        max = optional types.ints.positive "How many machines of this profile at once. Default: no limit of its own.";
        warm =
          optional
            (types.either types.ints.unsigned (
              types.submodule {
                options = {
                  min = mkOption {
                    type = types.ints.unsigned;
                    description = "How many machines wait for jobs.";
                  };
                  maxAge = optional kinds.duration "One that has waited longer is replaced. Default: 1h.";
                  linger = optional kinds.duration "So long after the profile's last job they are kept. Default: always.";
                };
              }
            ))
            "Machines that are up before a job waits, so that it starts at once: how many, or a set of `min`, `maxAge` (one that has waited longer is replaced; default: 1h) and `linger` (so long after the profile's last job they are kept; default: always). Each holds memory, and a place of `maxConcurrent` until a job needs it. Default: 0.";
        cache =
          optional
            (types.submodule {
              options = {
                path = optional types.str "Where jobs see it. Default: /cache.";
                maxSize = optional kinds.size "How much it may be, for each repository. Default: 5GiB.";
                maxAge = optional kinds.duration "One that is older is made anew. Default: 30d.";
              };
            })
            "A folder that the jobs of one repository keep between them, by a set of `path` (in the machine; default: /cache), `maxSize` (for each repository; default: 5GiB) and `maxAge` (one that is older is made anew; default: 30d), all of which may be left out. Jobs of forks' pull requests get an empty one of their own; it needs Forgejo 16. Not with `warm`. docs/SECURITY.md has the risks. Default: none.";
        environment = mkOption {
          type = types.attrsOf types.str;
          default = { };
          description = "Variables of every job. Never secrets: the forge has its own for jobs.";
        };
        settings = mkOption {
          type = format.type;
          default = { };
          description = "Further keys of the profile in the service's configuration; they win over those that the module makes.";
        };
      };
    };
in
{
  options.services.forgejo-runner-controller.profiles = mkOption {
    type = types.attrsOf (types.submodule profile);
    default.default.labels = [
      "self-hosted"
      "ci"
      "nix"
      (if pkgs.stdenv.hostPlatform.isAarch64 then "arm64" else "x64")
      "Linux"
    ];
    defaultText = literalExpression ''
      { default.labels = [ "self-hosted" "ci" "nix" "x64" "Linux" ]; } (arm64 in place of x64 on such a host)
    '';
    example = literalExpression ''
      {
        small = { labels = [ "nix" ]; cpus = 2; memory = "4GiB"; };
        services = { labels = [ "nixos" ]; container.config.services.postgresql.enable = true; max = 2; };
      }
    '';
    description = "Which labels are served, and by what kind of machine, by a name for logs and `runner-status`.";
  };
}
