use proptest::prelude::*;

use super::*;

fn url(text: &str) -> Result<EgressUrl, UrlError> {
    text.parse()
}

#[test]
fn takes_a_url_apart() {
    let vault = url("https://Vault.Example.com:8200/v1/kv?list=true").unwrap();
    assert_eq!(vault.host(), &Host::Name("vault.example.com".to_owned()));
    assert_eq!((vault.port(), vault.is_plain_text()), (8200, false));
    assert_eq!(vault.path_and_query().as_str(), "/v1/kv?list=true");
    assert_eq!(vault.authority(), "vault.example.com:8200");
    assert_eq!(vault.to_string(), "https://vault.example.com:8200/v1/kv?list=true");
    let bare = url("HTTP://127.0.0.1").unwrap();
    assert_eq!(bare.host(), &Host::Address(Ipv4Addr::LOCALHOST.into()));
    assert_eq!((bare.port(), bare.is_plain_text(), bare.path_and_query().as_str()), (80, true, "/"));
    let v6 = url("https://[2001:db8::1]:443?a").unwrap();
    assert_eq!((v6.authority().as_str(), v6.path_and_query().as_str()), ("[2001:db8::1]", "/?a"));
    assert_eq!(url("https://[::ffff:127.0.0.1]:8443/").unwrap().authority(), "[::ffff:127.0.0.1]:8443");
    for name in ["a", "a-b.c_d", "_x.example", "xn--bcher-kva.example", "1.2.3.4.example", "1password", "a.1b"] {
        assert_eq!(url(&format!("https://{name}/")).unwrap().host(), &Host::Name(name.to_owned()));
    }
}

#[test]
fn refuses_what_could_be_read_in_two_ways() {
    let hosts = [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "-a",
        "a-",
        "a.-b",
        "a b",
        "a%2eb",
        "b\u{fc}cher.example",
        "\u{2460}",
        "a,b",
        "a\\b",
        // Numbers that resolvers read as addresses.
        "2130706433",
        "0x7f000001",
        "0X7F000001",
        "017700000001",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "127.0.0.0x1",
        "127.0.0.01",
        "127.0.0.1.",
        "256.0.0.1",
        "1.2.3.4.5",
        "a.0x1",
        "a.1",
        // Brackets.
        "[]",
        "[::1",
        "::1]",
        "[127.0.0.1]",
        "[::1]a",
        "[::1%25eth0]",
        "[fe80::1%eth0]",
        "[[::1]]",
        "a[::1]",
        "[v1.a]",
    ];
    for host in hosts {
        assert_eq!(url(&format!("https://{host}/")), Err(UrlError::Host), "{host}");
    }
    let long =
        [&"a".repeat(64), &["abc."; 64].concat(), &format!("{}a", "abc.".repeat(64))].map(String::as_str).join(" ");
    for host in long.split(' ') {
        assert_eq!(url(&format!("https://{host}/")), Err(UrlError::Host), "{host}");
    }
    for port in ["", "0", "65536", "+80", "-1", "8 0", "80:80", "0x50"] {
        assert_eq!(url(&format!("https://a:{port}/")), Err(UrlError::Port), "{port}");
        assert_eq!(url(&format!("https://[::1]:{port}/")), Err(UrlError::Port), "{port}");
    }
    for text in ["", "a", "https", "https:/a", "//a", "ftp://a", "file:///etc/passwd", " https://a", "https\0://a"] {
        assert_eq!(url(text), Err(UrlError::Scheme), "{text}");
    }
    for text in ["https://user@a/", "https://user:password@a/", "https://@a/", "https://a@b:1/", "https://a:1@b"] {
        assert_eq!(url(text), Err(UrlError::UserInfo), "{text}");
    }
    for text in ["https://a#b", "https://a/b#", "https://a/?b#c", "https://a#@b/"] {
        assert_eq!(url(text), Err(UrlError::Fragment), "{text}");
    }
    for text in [
        "https://a/ b",
        "https://a/\\b",
        "https://a/\n",
        "https://a/\u{fc}",
        "https://a/b?\r\nX: y",
        "https://a/\u{7f}",
    ] {
        assert_eq!(url(text), Err(UrlError::Path), "{text:?}");
    }
    assert_eq!(url(&format!("https://a/{}", "b".repeat(2_048))), Err(UrlError::Length));
}

#[test]
fn errors_never_quote_the_url() {
    for text in
        ["https://user:canary@a/", "canary://a", "https://canary..a/", "https://a:canary/", "https://a/canary\\"]
    {
        assert!(!url(text).unwrap_err().to_string().contains("canary"), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_panics_and_what_is_taken_prints_and_parses_as_itself(
        text in "\\PC{0,40}|https?://[a-z0-9.:@\\[\\]x-]{0,20}[/?#]?[!-~]{0,12}"
    ) {
        if let Ok(parsed) = url(&text) {
            prop_assert_eq!(url(&parsed.to_string()), Ok(parsed.clone()));
            // What goes into the request is a URL to others too, and the same one.
            let other: http::Uri = parsed.to_string().parse().unwrap();
            prop_assert_eq!(other.host().map(str::to_owned), Some(parsed.host().to_string()));
            prop_assert_eq!(other.port_u16().unwrap_or(default_port(parsed.is_plain_text())), parsed.port());
        }
    }

    #[test]
    fn no_number_is_a_name(numbers in prop::collection::vec(
        prop_oneof![any::<u32>().prop_map(|n| n.to_string()), any::<u32>().prop_map(|n| format!("0{n:o}")),
                    any::<u32>().prop_map(|n| format!("0x{n:x}")), any::<u8>().prop_map(|n| n.to_string())], 1..5)
    ) {
        let host = numbers.join(".");
        match url(&format!("https://{host}/")) {
            Ok(parsed) => prop_assert_eq!(parsed.host(), &Host::Address(host.parse::<Ipv4Addr>().unwrap().into())),
            Err(error) => prop_assert_eq!(error, UrlError::Host),
        }
    }
}

fn below(base: &str, segments: &[&str], query: &[(&str, &str)]) -> Result<String, UrlError> {
    base.parse::<EgressUrl>().unwrap().below(segments, query).map(|url| url.to_string())
}

#[test]
fn urls_are_built_from_segments() {
    let base = "https://vault.example/sub/";
    assert_eq!(
        below(base, &["v1", "a b", "é/?#%..", "x..y"], &[]).unwrap(),
        "https://vault.example/sub/v1/a%20b/%C3%A9%2F%3F%23%25../x..y"
    );
    assert_eq!(
        below("https://h.example", &["a"], &[("v", "1&2"), ("list", "true")]).unwrap(),
        "https://h.example/a?v=1%262&list=true"
    );
    for bad in ["", ".", ".."] {
        assert_eq!(below(base, &["a", bad, "b"], &[]), Err(UrlError::Segment));
    }
    assert_eq!(below("https://h.example/?a=b", &["a"], &[]), Err(UrlError::Query));
    assert_eq!(below(base, &[&"a".repeat(2_100)], &[]), Err(UrlError::Length));
}

proptest! {
    #[test]
    fn a_built_url_says_what_was_asked_for(segments in prop::collection::vec("\\PC{1,8}", 1..5)) {
        let given: Vec<&str> = segments.iter().map(String::as_str).collect();
        if let Ok(url) = "https://h.example/base".parse::<EgressUrl>().unwrap().below(&given, &[]) {
            let path = url.path_and_query().path().strip_prefix("/base/").unwrap().to_owned();
            let back: Option<Vec<String>> = path.split('/').map(super::decode).collect();
            prop_assert_eq!(back, Some(segments));
            prop_assert_eq!(url.to_string().parse::<EgressUrl>().unwrap(), url);
        } else {
            prop_assert!(given.iter().any(|segment| matches!(*segment, "." | "..")));
        }
    }
}
