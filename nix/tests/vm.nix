# The test of a whole virtual machine: a real Forgejo, a real forgejo-runner, and the controller between them.
#
#   nix build .#checks.x86_64-linux.vm       runs it; needs KVM, and fetches or builds a NixOS with Forgejo
#
# IT HAS NEVER RUN. It was written where there was neither NixOS nor nixpkgs; only its evaluation against a stand-in of nixpkgs is tested
# (test/nix), and of its script (vm.py) all cases but the last two were once run by hand on the Debian host of the other tests, with the stand-ins
# for Forgejo and its runner. Whoever runs it first: what fails may well be the test. docs/ACCEPTANCE.md counts none of it as held.
{ module }:
{
  name = "forgejo-runner-controller";
  globalTimeout = 3600;

  nodes.machine =
    { config, pkgs, ... }:
    let
      address = config.networking.primaryIPAddress;
    in
    {
      imports = [ module ];

      virtualisation = {
        cores = 4;
        memorySize = 4096;
        diskSize = 8192;
      };

      services.forgejo = {
        enable = true;
        # The newest of nixpkgs: 15 is the oldest that the controller takes.
        package = pkgs.forgejo;
        settings = {
          server = {
            HTTP_PORT = 3000;
            # Machines reach the host by an address, never by its loopback.
            DOMAIN = address;
            ROOT_URL = "http://${address}:3000/";
            LOCAL_ROOT_URL = "http://127.0.0.1:3000/";
          };
          service.DISABLE_REGISTRATION = true;
          actions.ENABLED = true;
          # The default is months away; a job that its runner lost must not hang the test.
          "cron.stop_zombie_tasks".SCHEDULE = "@every 1m";
        };
      };

      services.forgejo-runner-controller = {
        enable = true;
        tokenFile = "/var/lib/forge-token";
        forges.forge.scope.repository = "ci/work";
        settings.maxConcurrent = 2;
        profiles = {
          plain.labels = [ "plain" ];
          hasty = {
            labels = [ "hasty" ];
            timeouts.job = "10s";
          };
          system = {
            labels = [ "system" ];
            container.config = { };
          };
        };
      };
      # The token is made by the running Forgejo: the test starts the service when it is there.
      systemd.services.forgejo-runner-controller.wantedBy = pkgs.lib.mkOverride 40 [ ];

      environment.systemPackages = [
        pkgs.curl
        pkgs.jq
        config.services.forgejo.package
      ];
    };

  testScript = builtins.readFile ./vm.py;
}
