# Every option of the module as plain data, for docs/OPTIONS.md.
{
  nixpkgsLib ? ./stub,
}:
let
  lib = import nixpkgsLib;
  host = import ./host.nix lib;
  evaluated = lib.evalModules {
    specialArgs = { inherit (host) pkgs; };
    modules = [
      ../../module.nix
      host.module
    ];
  };

  quoted = text: "\"${builtins.replaceStrings [ "\\" "\"" "\n" ] [ "\\\\" "\\\"" "\\n" ] text}\"";
  name = text: if builtins.match "[A-Za-z_][A-Za-z0-9_'-]*" text != null then text else quoted text;
  # A value as it is written in Nix, on one line.
  write =
    value:
    if builtins.isAttrs value && (value._type or "") == "literalExpression" then
      value.text
    else if lib.isDerivation value then
      value.name
    else if builtins.isAttrs value then
      "{ ${lib.concatStrings (lib.mapAttrsToList (key: inner: "${name key} = ${write inner}; ") value)}}"
    else if builtins.isList value then
      "[ ${lib.concatStrings (map (inner: "${write inner} ") value)}]"
    else if builtins.isString value then
      quoted value
    else if value == null then
      "null"
    else
      builtins.toJSON value;

  isOption = value: (value._type or "") == "option";
  bare = path: lib.genList (index: builtins.elemAt path (index + 2)) (builtins.length path - 2);
  listOf =
    tree:
    lib.concatLists (
      map (
        key:
        let
          value = tree.${key};
        in
        # `_module` is in every module.
        if lib.hasPrefix "_" key then
          [ ]
        else if isOption value then
          [
            {
              name = lib.concatStringsSep "." (map (part: if part == "<name>" then part else name part) (bare value.loc));
              inherit (value) description;
              type = value.type.description;
              default =
                if value ? defaultText then
                  write value.defaultText
                else if value ? default then
                  write value.default
                else
                  null;
              example = if value ? example then write value.example else null;
            }
          ]
          ++ listOf (value.type.getSubOptions value.loc)
        else
          listOf value
      ) (lib.attrNames tree)
    );
in
listOf evaluated.options.services.forgejo-runner-controller
