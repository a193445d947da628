# bounces.pl prints what Sisimai and Mail::DeliveryStatus::BounceParser find in a report: reader|action|status|recipient|reason.
use strict;
use warnings;
use Sisimai;
use Mail::DeliveryStatus::BounceParser;

my $file = $ARGV[0];
for my $found (@{ Sisimai->make($file) || [] }) {
	printf "sisimai|%s|%s|%s|%s\n", $found->action, $found->deliverystatus, $found->recipient->address, $found->reason;
}
open my $handle, '<', $file or die "$file: $!";
my $text = do { local $/; <$handle> };
my $bounce = eval { Mail::DeliveryStatus::BounceParser->new($text) };
for my $report ($bounce ? $bounce->reports : ()) {
	printf "bounceparser|%s|%s|%s|%s\n", map { defined $_ ? $_ : '' } map { $report->get($_) } qw(action status email std_reason);
}
