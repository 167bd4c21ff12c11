# The stub of `lib` that the module is evaluated with (or the real one), and what package definitions ask for besides.
let
  given = builtins.getEnv "NIXPKGS_LIB";
  lib = import (if given == "" then ./stub else given);
in
{
  getVersion = package: package.version or (builtins.parseDrvName package.name).version;
  removePrefix =
    prefix: text:
    if lib.hasPrefix prefix text then
      builtins.substring (builtins.stringLength prefix) (builtins.stringLength text) text
    else
      text;
  assertMsg = holds: message: if holds then true else throw message;
  concatMapStringsSep = separator: f: list: lib.concatStringsSep separator (map f list);
  licenses.mit.spdxId = "MIT";
  trivial.release = "26.05";
  fetchers.proxyImpureEnvVars = [ "https_proxy" ];
}
// lib
