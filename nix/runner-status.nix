# runner-status alone, for whoever asks a controller from another host: the program of the whole package, its completions and its page.
{
  lib,
  runCommand,
  forgejo-runner-controller,
}:
runCommand "runner-status-${forgejo-runner-controller.version}"
  {
    meta = forgejo-runner-controller.meta // {
      description = "Shows what forgejo-runner-controller does, and gives it orders";
      mainProgram = "runner-status";
    };
  }
  ''
    cd ${forgejo-runner-controller}
    find bin share -name '*runner-status*' -not -type d | while read -r path; do
      mkdir -p "$out/$(dirname "$path")"
      ln -s "${forgejo-runner-controller}/$path" "$out/$path"
    done
    test -x $out/bin/runner-status
  ''
