# Option types. A type says which values it takes (`check`), how several definitions become one (`merge`), what stands when there is none
# (`emptyValue`), and for documents how it is called and which options are below it.
lib:
let
  inherit (builtins)
    all
    attrNames
    concatLists
    elem
    filter
    head
    isAttrs
    isBool
    isFloat
    isFunction
    isInt
    isList
    isString
    length
    match
    toJSON
    ;
  inherit (lib) showOption;

  make =
    {
      name,
      description ? name,
      check ? _: true,
      merge ? mergeEqual,
      emptyValue ? { },
      getSubOptions ? _: { },
      getSubModules ? null,
    }@given:
    {
      _type = "option-type";
      inherit
        name
        description
        check
        merge
        emptyValue
        getSubOptions
        getSubModules
        ;
    };

  # Several definitions are one when they are equal.
  mergeEqual =
    loc: defs:
    let
      first = (head defs).value;
    in
    if all (def: def.value == first) defs then
      first
    else
      throw "The option `${showOption loc}' has conflicting definition values, in ${lib.concatMapStringsSep " and " (def: def.file) defs}.";

  one = loc: defs: if length defs == 1 then (head defs).value else throw "The option `${showOption loc}' is defined more than once.";

  simple =
    name: description: check:
    make { inherit name description check; };

  # The definitions of one element, from several files, made one by its type.
  element =
    type: loc: defs:
    lib.mergeDefinitions loc type defs;

  attrsOf =
    type:
    make {
      name = "attrsOf";
      description = "attribute set of ${type.description}";
      check = isAttrs;
      emptyValue.value = { };
      getSubOptions = prefix: type.getSubOptions (prefix ++ [ "<name>" ]);
      merge =
        loc: defs:
        let
          sets = concatLists (map (def: map (value: { inherit (def) file; inherit value; }) (lib.pushDown def.value)) defs);
          names = lib.unique (concatLists (map (def: attrNames def.value) sets));
          of = name: map (def: { inherit (def) file; value = def.value.${name}; }) (filter (def: def.value ? ${name}) sets);
          present = filter (name: lib.hasDefinition (of name)) names;
        in
        lib.genAttrs present (name: element type (loc ++ [ name ]) (of name));
    };

  listOf =
    type:
    make {
      name = "listOf";
      description = "list of ${type.description}";
      check = isList;
      emptyValue.value = [ ];
      getSubOptions = prefix: type.getSubOptions (prefix ++ [ "*" ]);
      merge =
        loc: defs:
        concatLists (
          map (
            def:
            concatLists (
              lib.imap0 (
                index: value:
                let
                  place = [ { inherit (def) file; inherit value; } ];
                in
                if lib.hasDefinition place then [ (element type (loc ++ [ "[definition ${toString (index + 1)}]" ]) place) ] else [ ]
              ) def.value
            )
          ) defs
        );
    };

  submoduleOf =
    modules:
    make {
      name = "submodule";
      check = value: isAttrs value || isFunction value || builtins.isPath value;
      emptyValue.value = { };
      getSubOptions = prefix: (lib.evalModules { inherit modules prefix; specialArgs.name = "<name>"; check = false; }).options;
      getSubModules = modules;
      merge =
        loc: defs:
        (lib.evalModules {
          modules =
            modules
            ++ map (def: {
              _file = def.file;
              imports = if isAttrs def.value then [ ] else [ def.value ];
              config = if isAttrs def.value then def.value else { };
            }) defs;
          prefix = loc;
          specialArgs.name = lib.last loc;
        }).config;
    };

  either =
    first: second:
    make {
      name = "either";
      description = "${first.description} or ${second.description}";
      check = value: first.check value || second.check value;
      merge =
        loc: defs:
        let
          values = map (def: def.value) defs;
        in
        if all first.check values then
          first.merge loc defs
        else if all second.check values then
          second.merge loc defs
        else
          mergeEqual loc defs;
    };

  # Sets are merged name by name, everything else must be equal.
  anything = make {
    name = "anything";
    merge = loc: defs: if all (def: isAttrs def.value && !lib.isDerivation def.value) defs then (attrsOf anything).merge loc defs else mergeEqual loc defs;
  };

  between =
    low: high:
    simple "intBetween" "integer between ${toString low} and ${toString high} (both inclusive)" (value: isInt value && value >= low && value <= high);
in
rec {
  inherit
    make
    attrsOf
    listOf
    either
    anything
    ;
  lazyAttrsOf = attrsOf;
  bool = simple "bool" "boolean" isBool;
  int = simple "int" "signed integer" isInt;
  float = simple "float" "floating point number" isFloat;
  number = either int float;
  str = simple "str" "string" isString;
  strMatching = pattern: simple "strMatching" "string matching the pattern ${pattern}" (value: isString value && match pattern value != null);
  ints = {
    inherit between;
    positive = simple "positiveInt" "positive integer, meaning >0" (value: isInt value && value > 0);
    unsigned = simple "unsignedInt" "unsigned integer, meaning >=0" (value: isInt value && value >= 0);
  };
  port = between 0 65535 // { description = "16 bit unsigned integer; between 0 and 65535 (both inclusive)"; };
  path = simple "path" "absolute path" (value: lib.isStringLike value && builtins.substring 0 1 (toString value) == "/");
  package = make {
    name = "package";
    merge = one;
    check = value: lib.isDerivation value || (lib.isStringLike value && lib.hasPrefix builtins.storeDir (toString value));
  };
  raw = make { name = "raw"; description = "raw value"; merge = one; };
  unspecified = make { name = "unspecified"; description = "unspecified value"; };
  enum = words: simple "enum" "one of ${lib.concatMapStringsSep ", " toJSON words}" (value: elem value words);
  nullOr =
    type:
    make {
      name = "nullOr";
      description = "null or ${type.description}";
      check = value: value == null || type.check value;
      emptyValue.value = null;
      inherit (type) getSubOptions;
      merge =
        loc: defs:
        let
          nulls = filter (def: def.value == null) defs;
        in
        if nulls == [ ] then
          type.merge loc defs
        else if length nulls == length defs then
          null
        else
          throw "The option `${showOption loc}' is defined both null and not null.";
    };
  oneOf = list: builtins.foldl' either (head list) (builtins.tail list);
  addCheck = type: more: type // { check = value: type.check value && more value; };
  submodule = module: submoduleOf (lib.toList module);
  deferredModule = make {
    name = "deferredModule";
    description = "module";
    check = value: isAttrs value || isFunction value || lib.isStringLike value;
    merge = _: defs: { imports = map (def: { _file = def.file; imports = [ def.value ]; }) defs; };
  };
}
