# `nix-shell`: what `nix develop` gives, for whoever uses no flakes.
args: (import ./default.nix args).shell
