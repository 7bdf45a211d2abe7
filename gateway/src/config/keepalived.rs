//! What keepalived's words are called here, for those who come from there.

/// The help for an unknown key of a `[vrrp.NAME]` that is a word of keepalived's.
pub(super) fn translation(path: &[String]) -> Option<&'static str> {
    let [section, _, key] = path else { return None };
    if section != "vrrp" {
        return None;
    }
    Some(match key.as_str() {
        "state" => "remove it: the priority decides",
        "advert_int" => "it is advertisement_interval = \"1s\" here",
        "virtual_ipaddress" | "virtual_ipaddress_excluded" => {
            "it is addresses = [\"192.168.1.100/24\"] here"
        }
        "auth_type" | "auth_pass" => "it is authentication = \"PASSWORD\" here, with version = 2",
        "nopreempt" => "it is preempt = false here",
        "unicast_peer" => "it is peers = [\"192.168.1.2\"] here",
        "unicast_src_ip" | "mcast_src_ip" => "it is source_address here",
        "use_vmac" => "it is virtual_mac = true here",
        "vrrp_version" => "it is version here",
        "track_interface" => "it is track.interface here",
        "track_script" | "vrrp_script" => "it is track.script here",
        "notify_master" | "notify_backup" | "notify_fault" | "notify_stop" => {
            "it is notify.command here: the third argument that is added tells the state"
        }
        "smtp_alert" => "it is [notify.email] here",
        "garp_master_repeat" | "garp_master_delay" | "garp_master_refresh" => {
            "it is garp = { repeat = 5, delay = \"5s\", refresh = \"10s\" } here"
        }
        _ => return None,
    })
}
