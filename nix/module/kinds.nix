# Types of values as the service reads them, so that a slip is told at evaluation and not at the start of the service.
lib:
let
  inherit (lib) types;
  described = type: description: type // { inherit description; };
in
rec {
  duration = described (types.either types.ints.unsigned (
    types.strMatching "([0-9]+([.][0-9]+)? *(ms|s|m|h|d) *)+"
  )) "duration such as \"20m\", \"1h30m\" or \"500ms\", or a number of seconds";

  size = described (types.either types.ints.positive (
    types.strMatching "none|[0-9]+([.][0-9]+)? *([KMGT]i?[Bb]?|[kmgt]b?|B)?"
  )) "size such as \"4GiB\" or \"512MiB\", a number of bytes, or \"none\"";

  cpus = described (types.either (types.addCheck types.number (count: count >= 0.01)) (
    types.enum [ "none" ]
  )) "number of processors such as 2 or 1.5, or \"none\"";

  tasks = described (types.either (types.ints.between 16 4194304) (types.enum [ "none" ])) "number of tasks from 16, or \"none\"";

  interface = described (types.strMatching "[A-Za-z0-9_][A-Za-z0-9._@-]{0,14}") "name of a network interface such as \"enp1s0\"";

  address = described (types.strMatching "host-gateway|[0-9]+([.][0-9]+){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*") "IPv4 or IPv6 address such as \"10.0.0.5\", or \"host-gateway\"";

  # Taken as it is written, a path literal too: the assertions refuse that with a sentence, where `types.path` would let Nix copy the file into
  # the store and `types.str` would say nothing of why.
  secretFile = lib.mkOptionType {
    name = "secretFile";
    description = "absolute path of a file outside the Nix store, as a string";
    check = value: lib.isString value || builtins.isPath value;
    merge = types.raw.merge;
  };
}
