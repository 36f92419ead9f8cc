//! The clients of the scenarios themselves: what they call the same is the same, and what differs differs.

use anyhow::Result;
use local_cloud::{Cloud, Options, Silent};
use scenarios::{Estate, Libsql};

#[tokio::test]
async fn contents_are_told_apart() -> Result<()> {
    let options = Options { deploy: false, ..Options::default() };
    let cloud = Cloud::start(options, std::sync::Arc::new(Silent)).await?;
    let estate = Estate::new(&cloud);

    let mut one = estate.create_cache("one").await?;
    let mut two = estate.create_cache("two").await?;
    one.fill(1_000).await?;
    let full = one.contents().await?;
    assert!(full.total() > 1_000 && full.expiring > 100, "{full:?}");
    assert_eq!(full.keys.len(), 6, "{full:?}");
    assert_ne!(full, two.contents().await?);
    one.call(&["HSET", "key:6", "number", "other"]).await?;
    assert_ne!(full, one.contents().await?);

    let orders = Libsql::create(&cloud, "orders").await?;
    let copy = Libsql::create(&cloud, "copy").await?;
    orders.fill(1_000).await?;
    copy.fill(1_000).await?;
    let full = orders.contents().await?;
    assert_eq!(full, copy.contents().await?);
    assert!(full.total() > 1_000, "{full:?}");
    copy.run(&["UPDATE orders SET total = -0.0 WHERE id = 500".to_owned()]).await?;
    assert_ne!(full, copy.contents().await?);
    cloud.stop().await;
    Ok(())
}
