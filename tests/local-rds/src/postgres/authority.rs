//! The certificate authority of this control plane, and the certificate that its endpoints share.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;

use super::{Error, Install};

/// What clients trust, and what endpoints show them.
pub(crate) struct Authority {
    /// The authority's certificate, in PEM.
    pub(crate) ca: PathBuf,
    pub(super) tls: Arc<ServerConfig>,
}

impl Authority {
    /// Makes an authority and lets it sign the endpoints' certificate. Every endpoint has the same address, so one
    /// certificate does for all.
    pub(crate) fn make(install: &Install) -> Result<Self, Error> {
        let issuer = CertifiedIssuer::self_signed(ca_params()?, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = endpoint_params()?.signed_by(&key, &issuer)?;
        let ca = install.data.path().join("ca.pem");
        std::fs::write(&ca, issuer.pem()).map_err(Error::files(&ca))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )?;
        // Clients that begin with TLS at once (`sslnegotiation=direct`) insist on it.
        tls.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Self { ca, tls: Arc::new(tls) })
    }
}

fn ca_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = name("Tidemark local RDS Root CA");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn endpoint_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    params.distinguished_name = name("127.0.0.1");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}
