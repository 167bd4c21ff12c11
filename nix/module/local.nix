# The Forgejo of this host: where it is asked, or null when there is none, and whether a forge is that one.
lib: config:
let
  inherit (config.services) forgejo;
  inherit (forgejo.settings) server;
  bare = lib.removeSuffix "/";
  root = server.ROOT_URL;
  asked = server.LOCAL_ROOT_URL or root;
in
{
  url = if forgejo.enable then asked else null;
  isLocal = forge: forgejo.enable && forge.url != null && lib.elem (bare forge.url) [ (bare asked) (bare root) ];
}
