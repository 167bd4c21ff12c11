# The options of NixOS that module.nix sets or reads, as far as it does, and a `pkgs` of packages that only have a name: enough to evaluate a
# configuration with the module. A name that is not here is refused, so whoever adds one looks it up in NixOS first.
lib:
let
  inherit (lib) mkOption types;
  free = mkOption {
    type = types.attrsOf types.anything;
    default = { };
  };
  flag = default: mkOption { type = types.bool; inherit default; };
  words = mkOption {
    type = types.listOf types.str;
    default = [ ];
  };
  ports = mkOption {
    type = types.listOf types.port;
    default = [ ];
  };
  text = default: mkOption { type = types.str; inherit default; };
  # Definitions of one priority are refused even when they are equal, as in NixOS.
  sysctl = lib.mkOptionType {
    name = "sysctl option value";
    check = value: lib.isBool value || lib.isInt value || lib.isString value;
    merge = types.raw.merge;
  };

  # A line of a unit: several are one after the other when one of them is a list, and else must be equal.
  line = lib.mkOptionType {
    name = "systemd option";
    check = value: lib.isString value || lib.isInt value || lib.isBool value || lib.isList value;
    merge =
      loc: defs:
      let
        values = map (def: def.value) defs;
      in
      if lib.any lib.isList values then lib.concatMap lib.toList values else types.unspecified.merge loc defs;
  };

  package = name: version: {
    type = "derivation";
    outPath = "${builtins.storeDir}/00000000000000000000000000000000-${name}-${version}";
    inherit name version;
    meta.mainProgram = name;
  };

  service.options = {
    description = text "";
    documentation = words;
    wants = words;
    after = words;
    wantedBy = words;
    unitConfig = free;
    serviceConfig = mkOption {
      type = types.attrsOf line;
      default = { };
    };
    environment = mkOption {
      type = types.attrsOf types.str;
      default = { };
    };
    path = mkOption {
      type = types.listOf (types.either types.package types.str);
      default = [ ];
    };
    stopIfChanged = flag true;
    restartIfChanged = flag true;
    reloadTriggers = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
    };
    restartTriggers = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
    };
  };
in
{
  module = {
    options = {
      assertions = mkOption {
        type = types.listOf types.unspecified;
        default = [ ];
      };
      warnings = words;
      boot.enableContainers = flag false;
      boot.kernel.sysctl = mkOption {
        type = types.attrsOf sysctl;
        default = { };
      };
      environment.etc = free;
      environment.systemPackages = mkOption {
        type = types.listOf types.package;
        default = [ ];
      };
      networking = {
        hostName = text "build-host";
        nftables.enable = flag false;
        nat = {
          enable = flag false;
          externalInterface = text "";
          internalIPs = words;
        };
        dhcpcd.denyInterfaces = words;
        networkmanager.unmanaged = words;
        firewall = {
          filterForward = flag false;
          extraForwardRules = text "";
          allowedTCPPorts = ports;
          interfaces = mkOption {
            type = types.attrsOf (
              types.submodule {
                options = {
                  allowedTCPPorts = ports;
                  allowedUDPPorts = ports;
                };
              }
            );
            default = { };
          };
        };
      };
      nix.enable = flag true;
      nix.settings = {
        allowed-users = mkOption { type = types.listOf types.str; default = [ "*" ]; };
        trusted-users = mkOption { type = types.listOf types.str; default = [ "root" ]; };
      };
      nix.package = mkOption { type = types.package; default = package "nix" "2.31"; };
      services.forgejo = {
        enable = flag false;
        package = mkOption { type = types.package; default = package "forgejo" "15.0.3"; };
        settings.server = mkOption {
          type = types.submodule {
            freeformType = types.attrsOf (types.oneOf [ types.str types.int types.bool ]);
            options.ROOT_URL = text "http://localhost:3000/";
          };
          default = { };
        };
      };
      system.stateVersion = text "26.05";
      systemd = {
        package = mkOption { type = types.package; default = package "systemd" "259"; };
        network.networks = free;
        slices = free;
        services = mkOption {
          type = types.attrsOf (types.submodule service);
          default = { };
        };
        tmpfiles.settings = free;
      };
      virtualisation.docker.enable = flag false;
    };
  };

  pkgs =
    lib.genAttrs (lib.splitString " " (
      "bash bzip2 cacert coreutils curl diffutils e2fsprogs file findutils forgejo-runner-controller gawk gcc git gnugrep gnumake gnupatch gnused gnutar"
      + " gzip iproute2 jq less nftables nodejs_24 openssh openssl pkg-config procps unzip util-linux which xz zip zstd"
    )) (name: package name "1.0")
    // {
      inherit lib;
      path = ./world;
      forgejo-runner = package "forgejo-runner" "12.11.1";
      oldRunner = package "forgejo-runner" "11.3.1";
      forgejo = package "forgejo" "15.0.3";
      oldForgejo = package "forgejo" "11.0.9";
      stdenv = {
        hostPlatform.isAarch64 = false;
        buildPlatform.canExecute = _: false;
        cc.bintools.dynamicLinker = "/lib/ld-linux.so.2";
      };
      runCommand =
        name: _: script:
        package name "0" // { inherit script; };
      # What is in it can be seen by its name alone.
      buildEnv = { name, paths, ... }: package (lib.concatStringsSep "-" ([ name ] ++ map (path: path.name) paths)) "0";
      formats.json = _: rec {
        type =
          let
            value = types.nullOr (types.oneOf [ types.bool types.int types.float types.str types.path (types.attrsOf value) (types.listOf value) ]) // {
              description = "JSON value";
            };
          in
          value;
        generate = name: value: package name "0" // { inherit value; };
      };
    };
}
