# A small stand-in for the `lib` of nixpkgs, written for these tests: what module.nix asks of it and no more, so that the module can be evaluated
# where nixpkgs is not. Wrong types, unknown options, conflicting and missing definitions are errors, as there; NIXPKGS_LIB puts the real one in
# its place, and both must give the same results. Simpler than the real one: error messages are shorter, options may be declared once only,
# disabledModules and module keys are not known, and types cannot be merged.
let
  attrs = import ./attrs.nix;
  types = import ./types.nix lib;
  modules = import ./modules.nix lib;

  lib =
    attrs
    // modules
    // {
      inherit types;

      literalExpression = text: {
        _type = "literalExpression";
        inherit text;
      };

      mkOption = given: given // { _type = "option"; };

      mkEnableOption =
        what:
        lib.mkOption {
          type = types.bool;
          default = false;
          example = true;
          description = "Whether to enable ${what}.";
        };

      mkOptionType = types.make;
    };
in
lib
