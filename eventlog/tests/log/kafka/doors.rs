//! Doors that let only some in: certificates made for the occasion, and a broker's settings for them.

use std::{fs, path::Path};

use calltide_eventlog::kafka::{Security, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// An authority, the broker's certificate and a client's, as PEM files.
pub(crate) fn certificates(dir: &Path) -> Security {
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let ours = authority("ours");
    let signed = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        (params.signed_by(&key, &ours).unwrap().pem(), key.serialize_pem())
    };
    let (server, server_key) = signed("127.0.0.1");
    let (client, client_key) = signed("calltide");
    let files = [
        ("ca.pem", ours.pem()),
        ("other-ca.pem", authority("other").pem()),
        ("server.pem", server_key + &server),
        ("client.pem", client),
        ("client-key.pem", client_key),
    ];
    files.iter().for_each(|(name, text)| fs::write(dir.join(name), text).unwrap());
    let identity = Some((dir.join("client.pem"), dir.join("client-key.pem")));
    Security { tls: Some(Tls { ca: Some(dir.join("ca.pem")), identity }), login: None }
}

/// A broker's settings for its own certificate.
pub(crate) const KEYS: &str = "ssl.keystore.type=PEM\nssl.keystore.location=server.pem\n\
                    ssl.truststore.type=PEM\nssl.truststore.location=ca.pem\n";

/// A broker's settings for TLS and the password of one user, by any mechanism.
pub(crate) fn passwords() -> String {
    let mut text = format!("{KEYS}sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n");
    text.push_str("sasl.mechanism.inter.broker.protocol=PLAIN\n");
    let module = "org.apache.kafka.common.security";
    let anna = "username=\"anna\" password=\"anna-secret\"";
    for (mechanism, class) in [
        ("plain", "plain.PlainLoginModule"),
        ("scram-sha-256", "scram.ScramLoginModule"),
        ("scram-sha-512", "scram.ScramLoginModule"),
    ] {
        let known = if mechanism == "plain" { " user_anna=\"anna-secret\"" } else { "" };
        let line = format!("{mechanism}.sasl.jaas.config={module}.{class} required {anna}{known};\n");
        text.push_str(&format!("listener.name.clients.{line}"));
    }
    text
}
