# Packages as nixpkgs has them, as far as our expressions use them: with a name, a version, a main program and, where they are built by a
# function of ours, the very derivation that the function was asked for. With `programs` (node and esbuild of this machine) they can be built:
# by a plain bash (builder.sh) in place of nixpkgs' stdenv.
{
  lib,
  system,
  path,
  programs ? { },
}:
let
  mkDerivation =
    attrs:
    let
      given = if builtins.isFunction attrs then attrs { } else attrs;
      name = given.name or "${given.pname}-${given.version}";
      plain = removeAttrs given [
        "meta"
        "passthru"
      ];
      built = derivation (
        plain
        // {
          inherit name system;
        }
        // (
          if programs == { } then
            { builder = "/bin/sh"; }
          else
            {
              builder = "/bin/bash";
              args = [ ./builder.sh ];
            }
        )
      );
    in
    built
    // {
      meta = given.meta or { };
      overrideAttrs = change: mkDerivation (given // change given);
      # What a test looks at: lists of packages and texts, as they were given.
      inherit given;
    }
    // lib.optionalAttrs (given ? version) { inherit (given) version; }
    // given.passthru or { };

  named =
    name: version:
    mkDerivation (
      {
        pname = name;
        inherit version;
        meta.mainProgram = name;
      }
      // lib.optionalAttrs (programs ? ${name}) {
        buildCommand = "mkdir -p $out/bin; ln -s ${programs.${name}} $out/bin/";
      }
    );

  versions = {
    forgejo-runner = "12.11.1";
    forgejo = "15.0.3";
  };

  packages =
    lib.genAttrs (lib.splitString " " (
      "bash bzip2 cacert chromium coreutils curl debootstrap diffutils e2fsprogs esbuild file findutils forgejo forgejo-runner gawk gcc git gnugrep gnumake"
      + " gnupatch gnused gnutar gzip iproute2 jq less makeWrapper nftables nix nixfmt openssh openssl pkg-config"
      + " procps shellcheck unzip util-linux which xz zip zstd"
    )) (name: named name (versions.${name} or "1.0"))
    // {
      nodejs_24 = mkDerivation (
        {
          pname = "nodejs";
          version = "24.15.0";
          meta.mainProgram = "node";
        }
        // lib.optionalAttrs (programs ? node) { buildCommand = "mkdir -p $out/bin; ln -s ${programs.node} $out/bin/node"; }
      );
      prometheus = named "prometheus" "3.0" // {
        cli = named "prometheus-cli" "3.0";
      };
    };

  pkgs = packages // {
    inherit lib path;
    stdenvNoCC = { inherit mkDerivation; };
    stdenv = {
      hostPlatform = {
        inherit system;
        isAarch64 = system == "aarch64-linux";
      };
      buildPlatform.canExecute = _: false;
      cc.bintools.dynamicLinker = "/nix/store/00000000000000000000000000000000-libc/lib/ld-linux.so.2";
    };
    callPackage =
      file: more:
      let
        function = if builtins.isFunction file then file else import file;
      in
      function (builtins.intersectAttrs (builtins.functionArgs function) pkgs // more);
    runCommand =
      name: attrs: buildCommand:
      mkDerivation (attrs // { inherit name buildCommand; });
    writeText = name: text: mkDerivation { inherit name text; };
    # Links of whatever the paths have below what is wanted, folder by folder.
    buildEnv =
      attrs:
      mkDerivation (
        attrs
        // lib.optionalAttrs (programs != { }) {
          buildCommand = ''
            for path in $paths; do
              for wanted in $pathsToLink; do
                [[ ! -d $path$wanted ]] || { mkdir -p $out$wanted; cp -rsf $path$wanted/. $out$wanted/; }
              done
            done
          '';
        }
      );
    symlinkJoin = mkDerivation;
    mkShell = attrs: mkDerivation (attrs // { name = "shell"; });
    closureInfo =
      { rootPaths }:
      mkDerivation {
        name = "closure-info";
        inherit rootPaths;
      };
    formats.json = _: {
      type = lib.types.anything;
      generate =
        name: value:
        mkDerivation {
          inherit name;
          text = builtins.toJSON value;
        };
    };
    testers.runNixOSTest =
      test:
      let
        machine =
          (import ./nixos/lib/eval-config.nix {
            system = null;
            modules = [
              { nixpkgs.pkgs = pkgs; }
              test.nodes.machine
              { networking.primaryIPAddress = "192.168.1.1"; }
            ];
          }).config;
        failed = lib.filter (one: !one.assertion) machine.assertions;
      in
      mkDerivation {
        name = "vm-test-run-${test.name}";
        inherit (test) testScript;
        nodes = if failed == [ ] then builtins.toJSON machine.systemd.services else throw (builtins.head failed).message;
        passthru = {
          inherit machine;
          driver = named "nixos-test-driver" "1.0";
        };
      };
  };
in
pkgs
