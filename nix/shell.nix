# Every tool that working on this project takes beside the packages that npm brings: see CONTRIBUTING.md.
{ pkgs }:
pkgs.mkShell {
  packages = with pkgs; [
    nodejs_24
    git
    shellcheck
    nix
    nixfmt
    jq
    curl
    # The page is tried in a real browser.
    chromium
    # For scripts/test-host, which boots a throw-away Debian.
    debootstrap
    util-linux
    iproute2
    nftables
    # Tests of the metrics ask a real promtool and a real Prometheus, which scripts/lib looks for in one folder.
    (symlinkJoin {
      name = "prometheus-tools";
      paths = [
        prometheus
        prometheus.cli
      ];
    })
    openssl
  ];
}
