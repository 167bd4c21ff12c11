# The nixpkgs of flake.lock, for whoever uses no flakes: the same files, by the same hash.
let
  inherit ((builtins.fromJSON (builtins.readFile ../flake.lock)).nodes.nixpkgs) locked;
in
fetchTarball {
  url = "https://github.com/${locked.owner}/${locked.repo}/archive/${locked.rev}.tar.gz";
  sha256 = locked.narHash;
}
