# Configurations that people write, by name: each must evaluate, and what it renders must load in the service.
{ lib, pkgs, ... }:
let
  with' = more: {
    services.forgejo-runner-controller = {
      enable = true;
      tokenFile = lib.mkDefault "/run/agenix/forge-token";
      forges.forge = {
        url = "https://forge.example.org";
        scope.organization = "builders";
      };
    }
    // more;
  };
in
{
  off = { };

  # On the host of Forgejo itself: three lines beside its own.
  beside-forgejo = {
    services.forgejo.enable = true;
    services.forgejo.settings.server.ROOT_URL = "https://git.example.org/";
    services.forgejo-runner-controller.enable = true;
    services.forgejo-runner-controller.tokenFile = "/run/agenix/forge-token";
    services.forgejo-runner-controller.forges.main.scope.instance = true;
  };

  beside-forgejo-on-a-port = {
    networking.nftables.enable = true;
    networking.firewall.filterForward = true;
    services.forgejo.enable = true;
    services.forgejo.settings.server = {
      ROOT_URL = "http://10.0.0.5:3000/";
      LOCAL_ROOT_URL = "http://127.0.0.1:3000/";
    };
    services.forgejo-runner-controller = {
      enable = true;
      tokenFile = "/var/lib/secrets/forge-token";
      forges.main.scope.user = true;
    };
  };

  beside-forgejo-by-its-address = {
    services.forgejo.enable = true;
    services.forgejo.settings.server.ROOT_URL = "http://git.example.org:3000/";
    services.forgejo.settings.server.LOCAL_ROOT_URL = "http://127.0.0.1:3000/";
    services.forgejo-runner-controller = {
      enable = true;
      tokenFile = "/run/agenix/forge-token";
      forges.main.url = "http://git.example.org:3000";
      forges.main.scope.instance = true;
    };
  };

  # On loopback, with a proxy for machines before it.
  on-loopback = with' {
    forges.forge = {
      url = "http://127.0.0.1:3000";
      instanceUrl = "http://git.lan:3300";
      scope.instance = true;
    };
    profiles.default.container.extraHosts."git.lan" = "host-gateway";
  };

  # Another forge beside that of the host is reached where it is.
  beside-forgejo-and-away = {
    services.forgejo.enable = true;
    services.forgejo.settings.server.ROOT_URL = "https://git.example.org/";
    services.forgejo-runner-controller = {
      enable = true;
      tokenFile = "/run/agenix/forge-token";
      forges.main.scope.instance = true;
      forges.other.scope.user = true;
      forges.other.url = "http://other.example.org:3000";
    };
  };

  away = with' { };

  several-forges = {
    services.forgejo-runner-controller = {
      enable = true;
      tokenFile = "/run/secrets/forge-token";
      forges = {
        main = {
          url = "https://forge.example.org";
          instanceUrl = "https://forge.internal.example.org:8443";
          caFile = "/etc/ssl/certs/internal-ca.pem";
          scope.organization = "builders";
        };
        mirror = {
          url = "http://[2001:db8::1]:3000/git";
          scope.repository = "builders/website";
          tokenFile = "/run/secrets/mirror-token";
          pollInterval = "30s";
        };
        mine = {
          url = "https://codeberg.org";
          scope.user = true;
          tokenFile = "/run/secrets/codeberg-token";
        };
      };
    };
  };

  # The service comes before its tokens: nothing is copied at the start.
  roll-out = with' { allowPending = true; };

  # Up and well, and starts nothing.
  closed = with' {
    polling.enable = false;
    settings.maxConcurrent = 12;
  };

  all-limits = with' {
    profiles = {
      big = {
        labels = [
          "nix"
          "large"
        ];
        cpus = 7.5;
        memory = "16GiB";
        tasks = 8192;
        disk = "50GB";
        timeouts = {
          start = 90;
          pick = "20s";
          job = "6h";
          stop = "5s";
        };
        max = 2;
        warm = {
          min = 1;
          linger = "30m";
        };
        environment.CI_SITE = "north";
        settings.runnerSha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
      };
      small = {
        warm = 2;
        priority = 10;
        labels = [ "nix" ];
        repositories.allow = [ "team/*" ];
        repositories.deny = [ "team/secret" ];
        events.deny = [ "schedule" ];
        cpus = 1;
        memory = "none";
        tasks = "none";
      };
      stops-slowly = {
        labels = [ "slow" ];
        timeouts.stop = "2m";
        timeouts.job = "1h30m";
        cache.maxSize = "2GiB";
      };
    };
  };

  templates = with' {
    profiles = {
      env = {
        container.extraPackages = [ pkgs.coreutils ];
        container.nix.access = "daemon";
        container.bindMounts."/var/cache/ccache".isReadOnly = false;
        container.bindMounts."/data".hostPath = "/srv/ci-data";
      };
      services.container.config.services.postgresql.enable = true;
      own-store.container.nix.access = "own";
      own-system.container = {
        config.services.postgresql.enable = true;
        nix.access = "own";
      };
      built.container.toplevel = "${builtins.storeDir}/00000000000000000000000000000000-nixos-system-ci";
      debian.container.directory = "/var/lib/machines/debian-12";
      debian-systemd = {
        container = {
          directory = "/var/lib/machines/debian-12";
          boot = true;
          podman.enable = true;
        };
        forks = "accept";
      };
      podman.container = {
        config = { };
        podman.enable = true;
      };
    };
  };

  containers = with' {
    driver = "nixos-container";
    profiles.default.container.config = { };
  };

  containers-of-old = {
    imports = [
      (with' {
        driver = "nixos-container";
        profiles.default.container.config = { };
      })
    ];
    system.stateVersion = "21.11";
  };

  network = with' {
    network = {
      pool = "10.99.0.0/22";
      prefix = 30;
      nameservers = [ "9.9.9.9" ];
      allow = [ "10.1.2.0/24" ];
      deny = [ "203.0.113.0/24" ];
      openPorts = [
        3142
        5000
      ];
      externalInterface = "enp1s0";
      nat.enable = false;
      mtu = 1380;
    };
    profiles.inside = {
      labels = [ "inside" ];
      container.nameservers = [ "10.1.2.53" ];
      container.extraHosts = {
        "git.lan" = "10.1.2.3";
        "both.lan" = [
          "10.1.2.4"
          "10.1.2.5"
        ];
        "host.docker.internal" = "host-gateway";
      };
    };
    settings.maxConcurrent = 200;
  };

  uplinks = with' {
    network.externalInterface = [
      "enp1s0"
      "wg0"
    ];
  };

  closed-firewall = with' { network.passHostFirewall = false; };

  webhook = with' {
    forges.forge = {
      url = "https://forge.example.org";
      scope.organization = "builders";
      webhook.secretFile = "/run/agenix/webhook-secret";
      webhook.pollInterval = "2m";
      webhook.ensure = "https://ci.example.org/webhook/forge";
      webhook.events = [
        "push"
        "action_run_failure"
      ];
      webhook.active = false;
    };
  };

  unpolled = with' {
    forges.forge = {
      url = "https://forge.example.org";
      scope.organization = "builders";
      pollInterval = "none";
      webhook.secretFile = "/run/agenix/webhook-secret";
    };
  };

  api = with' {
    apiTokenFile = "/run/agenix/api-token";
    openFirewall = true;
    settings.http.host = "0.0.0.0";
    settings.http.port = 9090;
    settings.http.basePath = "/runners";
  };

  settings-win = with' {
    settings = {
      controllerId = "ci-1";
      stateDir = "/srv/runner-state";
      maxPerRepository = 3;
      pollInterval = "2s";
      jobTimeout = 3600;
      logLevel = "debug";
      strict = false;
      archive.maxAge = "2d";
      metrics.perRepository = true;
      network.prefix = 25;
      profiles = [
        {
          labels = "written,by,hand";
          template.kind = "host";
        }
      ];
    };
  };

  settings-win-and-lines = {
    imports = [
      (with' {
        settings.stateDir = "/srv/runner-state";
        settings.cacheDir = "/srv/runner-cache";
        settings.http.socket = "/srv/runner-socket/orders.sock";
        serviceOverrides.ReadWritePaths = [ "/srv/runner-socket" ];
      })
    ];
  };

  raw = {
    services.forgejo-runner-controller = {
      enable = true;
      configFile = "/run/agenix/forgejo-runner-controller.yaml";
      tokenFile = "/run/agenix/forge-token";
      credentials.mirror = "/run/agenix/mirror-token";
    };
  };

  adjusted = with' {
    extraEnv.NODE_EXTRA_CA_CERTS = "/etc/ssl/certs/internal-ca.pem";
    extraPath = [ pkgs.findutils ];
    credentials.extra = "/run/agenix/extra";
    sliceConfig.CPUQuota = "800%";
    serviceOverrides = {
      MemoryMax = "1G";
      RestartSec = "30s";
    };
  };

  checked = with' { checkConfig = true; };

  odd-host-name = {
    networking.hostName = "Build-Host_1";
    imports = [ (with' { }) ];
  };
}
