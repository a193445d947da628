# bounces.pl prints what Sisimai and Mail::DeliveryStatus::BounceParser find in reports: file|reader|action|status|recipient|reason.
use strict;
use warnings;
use Sisimai;
use Mail::DeliveryStatus::BounceParser;

for my $file (@ARGV) {
	for my $found (@{ Sisimai->make($file) || [] }) {
		printf "%s|sisimai|%s|%s|%s|%s\n", $file, $found->action, $found->deliverystatus, $found->recipient->address, $found->reason;
	}
	open my $handle, '<', $file or die "$file: $!";
	my $text = do { local $/; <$handle> };
	my $bounce = eval { Mail::DeliveryStatus::BounceParser->new($text) };
	for my $report ($bounce ? $bounce->reports : ()) {
		printf "%s|bounceparser|%s|%s|%s|%s\n", $file, map { defined $_ ? $_ : '' } map { $report->get($_) } qw(action status email std_reason);
	}
}
