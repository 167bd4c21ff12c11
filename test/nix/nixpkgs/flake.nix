# A stand-in for nixpkgs, for the evaluation of our flake without network: packages are derivations that only have a name, and asking for one
# that is not listed is an error. The test puts the stub of `lib` beside it, and evaluates with `--override-input nixpkgs`.
{
  outputs =
    { self }:
    let
      lib = import ./lib.nix;
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (
        system:
        import ./packages.nix {
          inherit lib system;
          path = ./.;
        }
      );
    };
}
