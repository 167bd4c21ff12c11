# How many subnets a pool of IPv4 addresses has room for, or null when it is no pool.
lib:
let
  inherit (builtins)
    elemAt
    foldl'
    genList
    match
    ;
  number = "(0|[1-9][0-9]{0,2})";
  address = "${number}[.]${number}[.]${number}[.]${number}";
  toNumber =
    parts:
    let
      bytes = map lib.toInt parts;
    in
    if lib.any (byte: byte > 255) bytes then null else foldl' (sum: byte: sum * 256 + byte) 0 bytes;
  four = list: from: genList (index: elemAt list (from + index)) 4;
  # The service has as many ranges of user ids.
  most = count: if count > 4096 then 4096 else count;
  power = bits: foldl' (product: _: product * 2) 1 (genList (index: index) bits);
in
{
  slotsOf =
    pool: prefix:
    let
      span = match "${address} *- *${address}" pool;
      cidr = match "${address}/([0-9]{1,2})" pool;
      first = toNumber (four span 0);
      end = toNumber (four span 4);
      bits = lib.toInt (elemAt cidr 4);
      size = power (32 - prefix);
    in
    if span != null then
      if first == null || end == null || end < first then null else most ((end - first + 1) / size)
    else if cidr != null && bits <= 32 then
      most (power (32 - bits) / size)
    else
      null;
}
