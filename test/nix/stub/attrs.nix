# Functions on sets, lists and strings, under the names that they have in the `lib` of nixpkgs.
let
  inherit (builtins)
    attrNames
    concatMap
    elemAt
    filter
    genList
    hasAttr
    isAttrs
    isList
    isString
    length
    listToAttrs
    mapAttrs
    match
    replaceStrings
    stringLength
    substring
    ;
in
rec {
  inherit (builtins)
    all
    any
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    fromJSON
    genList
    hasAttr
    head
    isAttrs
    isBool
    isFunction
    isInt
    isList
    isPath
    isString
    length
    listToAttrs
    mapAttrs
    match
    readFile
    replaceStrings
    sort
    split
    splitVersion
    stringLength
    substring
    tail
    toJSON
    ;

  nameValuePair = name: value: { inherit name value; };
  mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
  mapAttrs' = f: set: listToAttrs (mapAttrsToList f set);
  filterAttrs = keep: set: listToAttrs (concatMap (name: if keep name set.${name} then [ (nameValuePair name set.${name}) ] else [ ]) (attrNames set));
  genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
  optionalAttrs = yes: set: if yes then set else { };
  isDerivation = value: isAttrs value && value.type or "" == "derivation";
  attrByPath =
    path: fallback: set:
    if path == [ ] then
      set
    else if isAttrs set && hasAttr (builtins.head path) set then
      attrByPath (builtins.tail path) fallback set.${builtins.head path}
    else
      fallback;

  optional = yes: item: if yes then [ item ] else [ ];
  optionals = yes: items: if yes then items else [ ];
  last = list: elemAt list (length list - 1);
  findFirst =
    wanted: fallback: list:
    let
      found = filter wanted list;
    in
    if found == [ ] then fallback else builtins.head found;
  unique = builtins.foldl' (found: item: if builtins.elem item found then found else found ++ [ item ]) [ ];
  toList = value: if isList value then value else [ value ];
  imap0 = f: list: genList (index: f index (elemAt list index)) (length list);
  range = first: last: if first > last then [ ] else genList (step: first + step) (last - first + 1);

  optionalString = yes: text: if yes then text else "";
  concatMapStringsSep =
    between: f: list:
    builtins.concatStringsSep between (map f list);
  concatStrings = builtins.concatStringsSep "";
  hasPrefix = start: text: substring 0 (stringLength start) text == start;
  hasSuffix =
    end: text:
    stringLength text >= stringLength end && substring (stringLength text - stringLength end) (-1) text == end;
  removePrefix = start: text: if hasPrefix start text then substring (stringLength start) (-1) text else text;
  removeSuffix = end: text: if hasSuffix end text then substring 0 (stringLength text - stringLength end) text else text;
  splitString = at: text: filter isString (builtins.split (escape at) text);
  hasInfix = part: text: length (splitString part text) > 1;
  escape = replaceStrings [ "." "+" "*" "?" "(" ")" "[" "]" "{" "}" "|" "^" "$" "\\" ] [ "\\." "\\+" "\\*" "\\?" "\\(" "\\)" "\\[" "\\]" "\\{" "\\}" "\\|" "\\^" "\\$" "\\\\" ];
  toInt =
    text:
    if match "0|[1-9][0-9]*" text == null then throw "no number: ${text}" else builtins.fromJSON text;
  boolToString = value: if value then "true" else "false";

  getVersion = package: package.version;
  trivial.release = "26.05";
  assertMsg = yes: message: if yes then true else throw message;
  versionAtLeast = a: b: builtins.compareVersions a b >= 0;
  versionOlder = a: b: builtins.compareVersions a b < 0;
  getExe = package: "${package}/bin/${package.meta.mainProgram}";
  getExe' = package: name: "${package}/bin/${name}";
  importJSON = path: builtins.fromJSON (builtins.readFile path);
  showOption = path: builtins.concatStringsSep "." path;
  isStringLike = value: isString value || builtins.isPath value || (isAttrs value && (value ? outPath || value ? __toString));
  pipe = builtins.foldl' (value: f: f value);
  id = value: value;
  flip = f: a: b: f b a;
  concatLines = lines: concatStrings (map (line: "${line}\n") lines);
  mapNullable = f: value: if value == null then null else f value;
}
