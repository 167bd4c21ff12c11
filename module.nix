# The NixOS module services.forgejo-runner-controller: polls Forgejo and runs each waiting job in a fresh systemd-nspawn container. Import this
# file, or nixosModules.default of the flake; docs/NIXOS.md says how, docs/OPTIONS.md lists every option.
#
# It has been evaluated (test/nix), not run: no NixOS host has taken part yet. nix/tests has the test of a whole virtual machine.
{
  _file = ./module.nix;
  imports = [
    ./nix/module/options.nix
    ./nix/module/profiles.nix
    ./nix/module/settings.nix
    ./nix/module/unit.nix
    ./nix/module/host.nix
    ./nix/module/assertions.nix
  ];
}
