# The service and runner-status, bundled from src/ by scripts/build.ts with the esbuild of nixpkgs. What the bundle is made of besides is one
# fixed output: `npm ci` of the runtime packages, held to the hash in runtime-dependencies.json (scripts/update-npm-hash writes it).
#
# Nix builds it in test/e2e/nix-build.test.ts, with a plain bash and Debian's node in place of nixpkgs; with nixpkgs it has not been built yet.
{
  lib,
  stdenvNoCC,
  nodejs_24,
  esbuild,
  cacert,
  makeWrapper,
}:
let
  inherit (builtins) fromJSON readFile;
  root = toString ./..;
  manifest = fromJSON (readFile ../package.json);
  runtime = fromJSON (readFile ./runtime-dependencies.json);
  unit = fromJSON (readFile ./unit.json);

  # Only what a build reads, so that a change of tests or documents builds nothing anew.
  only =
    name: wanted:
    builtins.path {
      inherit name;
      path = ./..;
      filter =
        path: _type:
        let
          inner = lib.removePrefix "${root}/" (toString path);
        in
        lib.any (one: inner == one || lib.hasPrefix "${one}/" inner || lib.hasPrefix "${inner}/" one) wanted;
    };

  # The same digest as in scripts/npm-hash.ts: where each runtime package lies, and its checksum.
  packages = lib.filterAttrs (path: entry: path != "" && !(entry.dev or false)) (
    fromJSON (readFile ../package-lock.json)
  ).packages;
  digest = builtins.hashString "sha256" (builtins.toJSON (lib.mapAttrs (_: entry: entry.integrity or "") packages));

  runtimeDependencies =
    assert lib.assertMsg (digest == runtime.lock)
      "nix/runtime-dependencies.json belongs to another package-lock.json: run scripts/update-npm-hash";
    stdenvNoCC.mkDerivation {
      # With the digest in its name it is never taken for that of another lock.
      name = "forgejo-runner-controller-packages-${builtins.substring 0 12 digest}";
      src = only "forgejo-runner-controller-lock" [
        "package.json"
        "package-lock.json"
      ];
      nativeBuildInputs = [ nodejs_24 ];
      SSL_CERT_FILE = "${cacert}/etc/ssl/certs/ca-bundle.crt";
      NODE_EXTRA_CA_CERTS = "${cacert}/etc/ssl/certs/ca-bundle.crt";
      impureEnvVars = lib.fetchers.proxyImpureEnvVars;
      dontConfigure = true;
      buildPhase = ''
        runHook preBuild
        export HOME=$TMPDIR
        npm ci --omit=dev --ignore-scripts --no-bin-links --no-audit --no-fund
        runHook postBuild
      '';
      # What differs from one npm to the next goes, as in scripts/npm-hash.ts.
      installPhase = ''
        runHook preInstall
        rm -rf node_modules/.[!.]*
        find node_modules -type d -name .bin -prune -exec rm -rf {} +
        find node_modules -type f -exec chmod 644 {} +
        cp -r node_modules $out
        runHook postInstall
      '';
      dontFixup = true;
      outputHashAlgo = "sha256";
      outputHashMode = "recursive";
      outputHash = runtime.hash;
    };

  nodeFlags = lib.filter (lib.hasPrefix "--") (
    lib.splitString " " (builtins.head (lib.splitString " @program@" unit.Service.ExecStart))
  );
in
stdenvNoCC.mkDerivation {
  pname = manifest.name;
  inherit (manifest) version;
  src = only "forgejo-runner-controller-source" [
    "src"
    "scripts/build.ts"
    "scripts/manual.ts"
    "package.json"
    "tsconfig.json"
    "LICENSE"
    "config.example.yaml"
  ];
  nativeBuildInputs = [
    nodejs_24
    makeWrapper
  ];
  ESBUILD = lib.getExe esbuild;
  dontConfigure = true;
  # What is started is the wrapper; the files stay as they were bundled.
  dontPatchShebangs = true;

  buildPhase = ''
    runHook preBuild
    cp -r ${runtimeDependencies} node_modules
    node scripts/build.ts
    runHook postBuild
  '';

  installPhase = ''
    runHook preInstall
    lib=$out/lib/forgejo-runner-controller
    mkdir -p $lib $out/share/{bash-completion,zsh,fish}
    cp -r dist/*.js dist/chunks $lib
    find $lib -name '*.map' -delete
    makeWrapper ${lib.getExe nodejs_24} $out/bin/forgejo-runner-controller \
      --add-flags "${lib.concatStringsSep " " nodeFlags} $lib/forgejo-runner-controller.js"
    makeWrapper ${lib.getExe nodejs_24} $out/bin/runner-status --add-flags "$lib/runner-status.js"
    cp -r dist/man $out/share/man
    cp -r dist/completions/bash $out/share/bash-completion/completions
    cp -r dist/completions/zsh $out/share/zsh/site-functions
    cp -r dist/completions/fish $out/share/fish/vendor_completions.d
    install -Dm644 -t $out/share/doc/forgejo-runner-controller LICENSE config.example.yaml
    runHook postInstall
  '';

  doInstallCheck = true;
  installCheckPhase = ''
    runHook preInstallCheck
    test "$($out/bin/forgejo-runner-controller --version)" = "${manifest.name} ${manifest.version}"
    test "$($out/bin/runner-status --version)" = "runner-status ${manifest.version}"
    runHook postInstallCheck
  '';

  passthru = { inherit runtimeDependencies nodeFlags; };

  meta = {
    inherit (manifest) description;
    license = lib.licenses.mit;
    mainProgram = manifest.name;
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
  };
}
