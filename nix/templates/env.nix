# The template nix-env: what a job finds in /bin, as one environment in the store. A machine of it boots no system, so it is up in a moment;
# docs/NIXOS.md says which jobs need more. Evaluated (test/nix), never built.
{
  pkgs,
  runner ? pkgs.forgejo-runner,
  extraPackages ? [ ],
}:
let
  inherit (pkgs) lib;
  checked = import ./runner.nix { inherit lib runner; };
  files = pkgs.runCommand "forgejo-runner-environment-files" { } ''
    mkdir -p $out/etc $out/lib64
    # Programs that were not built by Nix ask for their loader here; it finds the C library, and whatever LD_LIBRARY_PATH names.
    ln -s ${pkgs.stdenv.cc.bintools.dynamicLinker} $out/lib64/
    cat >$out/etc/passwd <<'END'
    root:x:0:0:root:/root:/bin/sh
    nobody:x:65534:65534:nobody:/var/empty:/bin/false
    END
    cat >$out/etc/group <<'END'
    root:x:0:
    nogroup:x:65534:
    END
    echo 'hosts: files dns' >$out/etc/nsswitch.conf
    printf '%s\n' 'ID=nixos' 'NAME=NixOS' 'PRETTY_NAME="forgejo-runner environment"' 'VERSION_ID="${lib.trivial.release}"' >$out/etc/os-release
  '';
in
pkgs.buildEnv {
  name = "forgejo-runner-environment-${lib.getVersion checked}";
  # Earlier ones win where two have a program of one name.
  paths = extraPackages ++ [ checked ] ++ import ./tools.nix pkgs ++ [ files ];
  pathsToLink = [
    "/bin"
    "/sbin"
    "/lib64"
    "/etc"
    "/share"
  ];
  ignoreCollisions = true;
  meta = {
    description = "What jobs of forgejo-runner-controller find in a container without a system of its own";
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
  };
  passthru.runner = checked;
}
