{
  description = "Runs every waiting Forgejo Actions job in one fresh systemd-nspawn container, and leaves nothing behind";

  # The only input: what it does not lock cannot differ from one host to the next.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      perSystem = make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      ours = perSystem (pkgs: import ./nix/packages.nix { inherit pkgs; });
    in
    {
      packages = perSystem (
        pkgs:
        let
          own = ours.${pkgs.stdenv.hostPlatform.system};
        in
        own // { default = own.forgejo-runner-controller; }
      );

      # Two names of one module. A host that imports both has it once.
      nixosModules = lib.genAttrs [ "default" "forgejo-runner-controller" ] (_: {
        imports = [ ./module.nix ];
      });

      overlays.default = final: _prev: import ./nix/packages.nix { pkgs = final; };

      checks = perSystem (
        pkgs:
        let
          own = ours.${pkgs.stdenv.hostPlatform.system};
        in
        {
          package = own.forgejo-runner-controller;
          module-eval = import ./nix/tests/module-eval.nix {
            inherit pkgs;
            module = self.nixosModules.default;
          };
          vm = pkgs.testers.runNixOSTest (import ./nix/tests/vm.nix { module = self.nixosModules.default; });
        }
      );

      apps = perSystem (
        pkgs:
        let
          inherit (pkgs.stdenv.hostPlatform) system;
        in
        {
          default = {
            type = "app";
            program = lib.getExe ours.${system}.forgejo-runner-controller;
            meta.description = "The service itself";
          };
          # The test of a whole virtual machine, told as it goes: Forgejo, its runner, and the controller between them.
          demo = {
            type = "app";
            program = "${self.checks.${system}.vm.driver}/bin/nixos-test-driver";
            meta.description = "A virtual machine with a Forgejo whose jobs run in containers";
          };
        }
      );

      devShells = perSystem (pkgs: { default = import ./nix/shell.nix { inherit pkgs; }; });

      formatter = perSystem (pkgs: pkgs.nixfmt-tree or pkgs.nixfmt);
    };
}
