# A host as people write it, for the evaluation of the module in `checks`: Forgejo elsewhere, a template of each kind.
{
  # No boot loader and no disks have to be told.
  boot.isContainer = true;
  system.stateVersion = "26.05";

  services.forgejo-runner-controller = {
    enable = true;
    tokenFile = "/run/secrets/forge-token";
    forges.forge = {
      url = "https://forge.example.org";
      scope.organization = "builders";
    };
    settings.maxConcurrent = 4;
    profiles = {
      small.labels = [ "nix" ];
      system = {
        labels = [ "nixos" ];
        container.config = { };
        max = 2;
      };
    };
  };
}
