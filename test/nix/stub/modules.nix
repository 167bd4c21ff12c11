# Modules: from a list of them to options and their values. Definitions are pushed down to the options that they are for without asking any
# condition, so that a condition may look at other options.
lib:
let
  inherit (builtins)
    attrNames
    concatLists
    filter
    foldl'
    hasAttr
    head
    isAttrs
    isFunction
    length
    mapAttrs
    seq
    ;
  inherit (lib) showOption;
  typeOf = value: if isAttrs value then value._type or "" else "";
  plain = 100;

  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkMerge = contents: { _type = "merge"; inherit contents; };
  mkOverride = priority: content: { _type = "override"; inherit priority content; };
  mkOrder = priority: content: { _type = "order"; inherit priority content; };

  # Sets without a property around them; what was around stands around their members.
  pushDown =
    value:
    let
      around = wrap: map (mapAttrs (_: wrap)) (pushDown value.content);
    in
    {
      merge = concatLists (map pushDown value.contents);
      "if" = around (mkIf value.condition);
      override = around (mkOverride value.priority);
    }
    .${typeOf value} or [ value ];

  # The definitions that are in force, whatever their priority.
  discharge =
    def:
    let
      with' = value: discharge { inherit (def) file; inherit value; };
    in
    {
      merge = concatLists (map with' def.value.contents);
      "if" = if def.value.condition then with' def.value.content else [ ];
    }
    .${typeOf def.value} or [ def ];

  priorityOf = def: if typeOf def.value == "override" then def.value.priority else plain;
  # Of all definitions those of the strongest priority.
  strongest =
    defs:
    let
      best = foldl' (found: def: if priorityOf def < found then priorityOf def else found) 9999 defs;
    in
    map (def: if typeOf def.value == "override" then def // { value = def.value.content; } else def) (filter (def: priorityOf def == best) defs);
  inOrder =
    defs:
    let
      orderOf = def: if typeOf def.value == "order" then def.value.priority else 1000;
      bare = def: if typeOf def.value == "order" then def // { value = def.value.content; } else def;
    in
    map bare (builtins.sort (a: b: orderOf a < orderOf b) defs);

  hasDefinition = defs: concatLists (map discharge defs) != [ ];

  mergeDefinitions =
    loc: type: given:
    let
      defs = inOrder (strongest (concatLists (map discharge given)));
      wrong = filter (def: !type.check def.value) defs;
    in
    if defs == [ ] then
      if type.emptyValue ? value then
        # A submodule without definitions still has defaults.
        if type.name == "submodule" then type.merge loc [ ] else type.emptyValue.value
      else
        throw "The option `${showOption loc}' was accessed but has no value defined. Try setting the option."
    else if wrong != [ ] then
      throw "A definition for option `${showOption loc}' is not of type `${type.description}'. It stands in ${(head wrong).file}."
    else
      type.merge loc defs;

  # Modules with all that they import, in one list.
  flatten =
    args: file: module:
    let
      loaded = if builtins.isPath module || builtins.isString module then import module else module;
      here = if builtins.isPath module || builtins.isString module then toString module else file;
      called = if isFunction loaded then loaded args else loaded;
      name = called._file or here;
      structured = called ? config || called ? options;
      odd = filter (key: !builtins.elem key [ "_file" "imports" "config" "options" "freeformType" ]) (attrNames called);
      config = if structured then called.config or { } else removeAttrs called [ "_file" "imports" "freeformType" ];
    in
    if structured && odd != [ ] then
      throw "Module `${name}' has an unsupported attribute `${head odd}', beside config and options."
    else
      concatLists (map (flatten args name) (called.imports or [ ]))
      ++ [
        {
          file = name;
          options = called.options or { };
          freeformType = called.freeformType or null;
          inherit config;
        }
      ];

  # Two trees of options as one; no option is declared twice.
  mergeOptions =
    loc: a: b:
    a
    // mapAttrs (
      name: value:
      let
        place = loc ++ [ name ];
      in
      if !hasAttr name a then
        value
      else if typeOf value == "option" || typeOf a.${name} == "option" then
        throw "The option `${showOption place}' is declared twice."
      else
        mergeOptions place a.${name} value
    ) b;

  # { value, unknown } of a tree of options, given the definitions for it.
  evaluate =
    loc: options: defs:
    let
      sets = concatLists (map (def: map (value: { inherit (def) file; inherit value; }) (pushDown def.value)) defs);
      of = name: map (def: { inherit (def) file; value = def.value.${name}; }) (filter (def: hasAttr name def.value) sets);
      below = mapAttrs (
        name: option:
        let
          place = loc ++ [ name ];
          default = if option ? default then [ { file = "its default"; value = mkOverride 1500 option.default; } ] else [ ];
          merged = mergeDefinitions place (option.type or lib.types.unspecified) (default ++ of name);
        in
        if typeOf option == "option" then
          {
            value = if option ? apply then option.apply merged else merged;
            option = option // { loc = place; value = merged; isDefined = hasDefinition (of name); };
            unknown = [ ];
          }
        else
          evaluate place option (of name)
      ) options;
    in
    {
      value = mapAttrs (_: part: part.value) below;
      option = mapAttrs (_: part: part.option) below;
      unknown =
        concatLists (map (def: map (name: { inherit (def) file; inherit name; value = def.value.${name}; loc = loc ++ [ name ]; }) (filter (name: !hasAttr name options) (attrNames def.value))) sets)
        ++ concatLists (builtins.attrValues (mapAttrs (_: part: part.unknown) below));
    };

  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
      check ? true,
    }:
    let
      args = { inherit lib options; config = unchecked; } // specialArgs;
      flat = concatLists (map (flatten args "<module>") modules);
      tree = foldl' (mergeOptions prefix) { } (map (module: module.options) flat);
      freeform = filter (type: type != null) (map (module: module.freeformType) flat);
      result = evaluate prefix tree (map (module: { inherit (module) file; value = module.config; }) flat);
      # What no option takes goes to the free form; it stands beside the options or, in a group of them, within it.
      nest = path: value: if length path == 1 then { ${head path} = value; } else { ${head path} = nest (builtins.tail path) value; };
      within = loc: lib.genList (index: builtins.elemAt loc (index + length prefix)) (length loc - length prefix);
      free = (head freeform).merge prefix (map (def: { inherit (def) file; value = nest (within def.loc) def.value; }) result.unknown);
      both = a: b: a // mapAttrs (name: value: if isAttrs value && isAttrs (a.${name} or null) && !lib.isDerivation value then both a.${name} value else value) b;
      unchecked = if freeform == [ ] then result.value else both free result.value;
      options = result.option;
      stranger = head result.unknown;
      checked =
        if check && freeform == [ ] && result.unknown != [ ] then
          throw "The option `${showOption stranger.loc}' does not exist. It is defined in ${stranger.file}."
        else
          unchecked;
    in
    {
      inherit options;
      config = checked;
      type = null;
    };
in
{
  inherit
    mkIf
    mkMerge
    mkOverride
    mkOrder
    pushDown
    hasDefinition
    mergeDefinitions
    evalModules
    ;
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  mkOptionDefault = mkOverride 1500;
  mkBefore = mkOrder 500;
  mkAfter = mkOrder 1500;
}
